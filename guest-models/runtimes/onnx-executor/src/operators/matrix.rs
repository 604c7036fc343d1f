//! Inputs as matrices.

use std::borrow::Cow;

use wardian_sdk::{Error, OrError};

use crate::tensor::{Data, Tensor, collect};

/// Returns the rows and columns of a matrix; one dimension is one row.
///
/// # Errors
/// Rejected if there are no dimensions, or more than two.
pub fn dimensions(tensor: &Tensor) -> Result<(usize, usize), Error> {
    match **tensor.shape() {
        [columns] => Ok((1, columns)),
        [rows, columns] => Ok((rows, columns)),
        ref other => Err(Error::rejected(format_args!("a matrix has no shape {other:?}"))),
    }
}

/// Returns the rows of a matrix that has so many columns.
///
/// # Errors
/// Rejected if it has another number of columns, or is no matrix.
pub fn rows_of(tensor: &Tensor, features: usize) -> Result<usize, Error> {
    match dimensions(tensor)? {
        (rows, columns) if columns == features => Ok(rows),
        (_, columns) => Err(Error::rejected(format_args!(
            "rows of {columns} numbers where the model takes {features}"
        ))),
    }
}

/// Returns the numbers of one of the common types as floats.
///
/// # Errors
/// Failed if they are of another type.
pub fn floats(tensor: &Tensor) -> Result<Cow<'_, [f32]>, Error> {
    let numbers = match tensor.data() {
        Data::F32(numbers) => return Ok(Cow::Borrowed(numbers)),
        Data::F64(numbers) => collect(numbers.iter().map(|number| *number as f32))?,
        Data::I64(numbers) => collect(numbers.iter().map(|number| *number as f32))?,
        Data::I32(numbers) => collect(numbers.iter().map(|number| *number as f32))?,
        _ => return Err(Error::failed("an input that is not of numbers")),
    };
    Ok(Cow::Owned(numbers))
}

/// Returns a list's value for a column: a list of one is for all columns.
pub fn of_column<T: Copy>(list: &[T], column: usize) -> Option<T> {
    match list {
        [only] => Some(*only),
        list => list.get(column).copied(),
    }
}

/// Returns whole numbers that are sizes or indices.
///
/// # Errors
/// Failed if one is negative or too large.
pub fn indices(name: &str, numbers: &[i64]) -> Result<Vec<usize>, Error> {
    let index = |number: &i64| {
        let index = u32::try_from(*number).ok().map(|index| index as usize);
        index.or_failed(format_args!("the attribute {name:?} has the value {number}"))
    };
    numbers.iter().map(index).collect()
}

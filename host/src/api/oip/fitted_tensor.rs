//! A tensor whose shape follows from its value and the model's metadata, because the request names
//! no shape.

use super::element::ReadElement;
use super::tensor_json::read_data_with;
use crate::api::json::{JsonError, Reader};
use crate::model::{Tensor, TensorSpec};

/// Reads the value of an input: one element or an array, nested in the tensor's shape or flat.
pub(in crate::api) fn read_fitted_tensor(
    reader: &mut Reader<'_>,
    spec: &TensorSpec,
    element: ReadElement,
) -> Result<Tensor, JsonError> {
    let alone = reader.peek() != Some(b'[');

    let shape = if alone {
        fit_shape(spec, 1).map_err(|error| reader.error(error))?
    } else {
        array_shape(reader, spec)?
    };

    let shape_of_value: &[u64] = if alone { &[] } else { &shape };
    let data = read_data_with(reader, spec.datatype, shape_of_value, element)?;

    Ok(Tensor { name: spec.name.clone(), datatype: spec.datatype, shape, data })
}

/// Returns the shape of the next array: its own if it is nested like the model's shape, else the
/// shape that fits its number of elements.
fn array_shape(reader: &Reader<'_>, spec: &TensorSpec) -> Result<Vec<u64>, JsonError> {
    let depth = nesting_depth(reader, spec.shape.len().max(1) + 1);

    if depth == 1 {
        return fit_shape(spec, array_length(reader)?).map_err(|error| reader.error(error));
    }

    if depth != spec.shape.len() {
        return Err(reader
            .error(format!("the data must be flat, or nested like the shape {:?}", spec.shape)));
    }

    nested_shape(reader, depth)
}

/// Returns how many arrays the next value opens, at most `most`.
pub(in crate::api) fn nesting_depth(reader: &Reader<'_>, most: usize) -> usize {
    let mut inner = reader.clone();
    std::iter::from_fn(|| inner.consume_array_start().then_some(())).take(most).count()
}

/// Returns the lengths of the first array, of the first array within it, and so on.
pub(in crate::api) fn nested_shape(
    reader: &Reader<'_>,
    depth: usize,
) -> Result<Vec<u64>, JsonError> {
    let mut inner = reader.clone();
    let mut shape = Vec::with_capacity(depth);

    for _ in 0..depth {
        shape.push(array_length(&inner)?);
        inner.consume_array_start();
    }

    Ok(shape)
}

/// Returns the number of elements of the next array.
fn array_length(reader: &Reader<'_>) -> Result<u64, JsonError> {
    let mut elements = 0;
    reader.clone().array(|reader| {
        elements += 1;
        reader.skip()
    })?;
    Ok(elements)
}

/// Fits a number of elements into the input's shape. The last variable dimension takes the elements
/// that the fixed dimensions leave, and the other variable ones are 1. Fails with a text for the
/// caller.
pub(in crate::api) fn fit_shape(spec: &TensorSpec, elements: u64) -> Result<Vec<u64>, String> {
    let error = || format!("{elements} elements do not fill the shape {:?}", spec.shape);

    let fixed = spec
        .shape
        .iter()
        .filter(|&&dimension| dimension >= 0)
        .map(|dimension| dimension.unsigned_abs());

    let fixed = fixed.fold(1u64, u64::saturating_mul);
    let mut left =
        elements.checked_div(fixed).filter(|left| left * fixed == elements).ok_or_else(error)?;
    let mut shape = Vec::with_capacity(spec.shape.len());

    for &dimension in spec.shape.iter().rev() {
        let varies = dimension < 0;
        shape.push(if varies { std::mem::replace(&mut left, 1) } else { dimension.unsigned_abs() });
    }

    shape.reverse();

    if left == 1 { Ok(shape) } else { Err(error()) }
}

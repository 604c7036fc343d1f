//! Operations whose size makes them worth a call of the host.
//!
//! The host computes them in place, in the model's memory, with the widest instructions of its
//! processor; see [`wardian_kernels`] for what they are. Natively, in tests, the same code runs in
//! the process, and where `model.toml` has `kernels = false`, in the component.
//!
//! ```
//! use wardian_sdk::kernels::{Activation, Bias, Matmul, MatmulData, PackedMatrix, matmul};
//!
//! # fn main() -> Result<(), wardian_sdk::Error> {
//! // In `load`: weights of 2 rows and 3 columns.
//! let weights = PackedMatrix::new(&[1.0, 0.0, 2.0, 0.0, 1.0, -9.0], 2, 3)?;
//!
//! // In `infer`: one row of 2 numbers.
//! let mut output = [0.0; 3];
//! let operation = Matmul {
//!     bias: Bias::Columns,
//!     activation: Activation::Relu,
//!     ..weights.product(1)
//! };
//! let data = MatmulData {
//!     left: &[5.0, 6.0],
//!     right: weights.numbers(),
//!     bias: &[0.5, 0.5, 0.5],
//!     residual: &[],
//!     output: &mut output,
//! };
//! matmul(&operation, data)?;
//! assert_eq!(output, [5.5, 6.5, 0.0]);
//! # Ok(())
//! # }
//! ```

pub use wardian_kernels::{
    Activation, Bias, Conv2d, Conv2dData, IntegerData, IntegerMatmul, IntegerOutput,
    IntegerPacking, Matmul, MatmulData, Packing, Right, Softmax, Strides, functions,
};
use wardian_kernels::{Checkpoint, run_to_end};

use crate::{Error, OrError};

/// Multiplies matrices.
///
/// # Errors
/// Failed if the description is not valid or does not fit the slices.
pub fn matmul(operation: &Matmul, data: MatmulData<'_>) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(data) = super::imported::matmul(operation, data)? else { return Ok(()) };
    to_end("matmul", |checkpoint| operation.run(data, 0, checkpoint))
}

/// Packs the right matrix of a product, once for all products.
///
/// # Errors
/// As [`matmul`].
pub fn pack_matrix(packing: &Packing, values: &[f32], packed: &mut [f32]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(packed) = super::imported::pack_matrix(packing, values, packed)? else {
        return Ok(());
    };
    to_end("pack_matrix", |checkpoint| packing.run(values, packed, 0, checkpoint))
}

/// Multiplies matrices of 8-bit integers.
///
/// # Errors
/// As [`matmul`].
pub fn integer_matmul(operation: &IntegerMatmul, data: IntegerData<'_>) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(data) = super::imported::integer_matmul(operation, data)? else { return Ok(()) };
    to_end("integer_matmul", |checkpoint| operation.run(data, 0, checkpoint))
}

/// Packs the right matrix of a product of 8-bit integers.
///
/// # Errors
/// As [`matmul`].
pub fn pack_integer_matrix(
    packing: &IntegerPacking,
    values: &[u8],
    packed: &mut [u8],
) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(packed) = super::imported::pack_integer_matrix(packing, values, packed)? else {
        return Ok(());
    };
    to_end("pack_integer_matrix", |checkpoint| packing.run(values, packed, 0, checkpoint))
}

/// Computes a convolution.
///
/// # Errors
/// As [`matmul`].
pub fn conv2d(operation: &Conv2d, data: Conv2dData<'_>) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(data) = super::imported::conv2d(operation, data)? else { return Ok(()) };
    to_end("conv2d", |checkpoint| operation.run(data, 0, checkpoint))
}

/// Packs the filters of a convolution.
///
/// # Errors
/// As [`matmul`].
pub fn pack_filters(operation: &Conv2d, filters: &[f32], packed: &mut [f32]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(packed) = super::imported::pack_filters(operation, filters, packed)? else {
        return Ok(());
    };
    to_end("pack_filters", |checkpoint| operation.pack(filters, packed, 0, checkpoint))
}

/// Replaces each row of a matrix by its softmax.
///
/// # Errors
/// As [`matmul`].
pub fn softmax_rows(operation: &Softmax, values: &mut [f32]) -> Result<(), Error> {
    #[cfg(target_family = "wasm")]
    let Some(values) = super::imported::softmax_rows(operation, values)? else { return Ok(()) };
    to_end("softmax", |checkpoint| operation.run(values, 0, checkpoint))
}

/// Runs an operation, and gives its error a name.
fn to_end(
    name: &str,
    run: impl FnOnce(Checkpoint<'_>) -> Result<Option<u64>, wardian_kernels::Error>,
) -> Result<(), Error> {
    run(&mut run_to_end).map(drop).or_failed(name)
}

/// The packed right matrix of a product: weights, in plain memory, so that they are in the
/// snapshot.
#[derive(Clone, Debug)]
pub struct PackedMatrix {
    inner: u32,
    columns: u32,
    numbers: Vec<f32>,
}

impl PackedMatrix {
    /// Packs a matrix of that many rows and columns, its rows in order.
    ///
    /// # Errors
    /// Failed if a size is 0, or there are not that many numbers.
    pub fn new(values: &[f32], rows: usize, columns: usize) -> Result<Self, Error> {
        let [rows, columns] = sizes([rows, columns])?;
        Self::with_strides(values, rows, columns, Strides::dense(rows, columns))
    }

    /// Packs the transpose of a matrix of that many rows and columns, its rows in order. This is
    /// how most frameworks keep the weights of a layer: a row for each output.
    ///
    /// # Errors
    /// As [`PackedMatrix::new`].
    pub fn transposed(values: &[f32], rows: usize, columns: usize) -> Result<Self, Error> {
        let [rows, columns] = sizes([rows, columns])?;
        Self::with_strides(values, columns, rows, Strides::transposed(columns, rows))
    }

    fn with_strides(
        values: &[f32],
        inner: u32,
        columns: u32,
        strides: Strides,
    ) -> Result<Self, Error> {
        let packing = Packing { inner, columns, strides };
        let length = packing.packed_len().or_failed("pack_matrix")?;

        let mut numbers = vec![0.0; length as usize];
        pack_matrix(&packing, values, &mut numbers)?;
        Ok(PackedMatrix { inner, columns, numbers })
    }

    /// Returns a description of the product of a dense matrix of that many rows with this one.
    pub fn product(&self, rows: u32) -> Matmul {
        Matmul::dense(rows, self.inner, self.columns)
    }

    /// Returns the packed numbers.
    pub fn numbers(&self) -> &[f32] {
        &self.numbers
    }
}

fn sizes(sizes: [usize; 2]) -> Result<[u32; 2], Error> {
    let [rows, columns] = sizes.map(u32::try_from);
    Ok([rows.or_failed("too many rows")?, columns.or_failed("too many columns")?])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn weights_with_a_row_for_each_output_are_the_transpose() {
        let rows = PackedMatrix::new(&[1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2, 3).unwrap();
        let columns = PackedMatrix::transposed(&[1.0, 4.0, 2.0, 5.0, 3.0, 6.0], 3, 2).unwrap();
        assert_eq!(rows.numbers(), columns.numbers());
        assert_eq!(rows.product(7), columns.product(7));
    }

    #[test]
    fn what_does_not_fit_is_an_error_with_the_operation_s_name() {
        let error = PackedMatrix::new(&[1.0; 5], 2, 3).unwrap_err();
        assert_eq!(error, Error::failed("pack_matrix: the matrix has 5 elements and needs 6"));
        assert_eq!(
            PackedMatrix::new(&[], 0, 3).unwrap_err(),
            Error::failed("pack_matrix: the inner size is 0")
        );
    }
}

//! The heavy arithmetic: products of matrices and convolutions, in one place.
//!
//! The SDK decides where it is computed. Sizes are of 32 bits and not 0; the callers answer for
//! empty tensors themselves.

use onnx_executor::tensor::filled;
use wardian_sdk::kernels::{
    self, Conv2d, Conv2dData, IntegerData, IntegerMatmul, IntegerPacking, Matmul, MatmulData,
    Packing,
};
use wardian_sdk::{Error, OrError};

/// Computes a product of matrices of float.
///
/// # Errors
/// Rejected if the description does not fit the slices.
pub(crate) fn matmul(operation: &Matmul, data: MatmulData<'_>) -> Result<(), Error> {
    kernels::matmul(operation, data).or_rejected("a product of matrices")
}

/// Packs a matrix for [`matmul`].
///
/// # Errors
/// Rejected if the description does not fit the slice.
pub(crate) fn pack_matrix(packing: &Packing, values: &[f32]) -> Result<Vec<f32>, Error> {
    let length = packing.packed_len().or_rejected("a packed matrix")?;
    let mut packed = filled(usize::try_from(length).or_rejected("a packed matrix")?, 0.0)?;
    kernels::pack_matrix(packing, values, &mut packed).or_rejected("a packed matrix")?;
    Ok(packed)
}

/// Computes a product of matrices of 8-bit integers.
///
/// # Errors
/// Rejected if the description does not fit the slices.
pub(crate) fn integer_matmul(
    operation: &IntegerMatmul,
    data: IntegerData<'_>,
) -> Result<(), Error> {
    kernels::integer_matmul(operation, data).or_rejected("a product of integers")
}

/// Packs a matrix for [`integer_matmul`].
///
/// # Errors
/// Rejected if the description does not fit the slice.
pub(crate) fn pack_integers(packing: &IntegerPacking, values: &[u8]) -> Result<Vec<u8>, Error> {
    let length = packing.packed_len().or_rejected("a packed matrix")?;
    let mut packed = filled(usize::try_from(length).or_rejected("a packed matrix")?, 0)?;
    kernels::pack_integer_matrix(packing, values, &mut packed).or_rejected("a packed matrix")?;
    Ok(packed)
}

/// Computes a convolution of images.
///
/// # Errors
/// Rejected if the description does not fit the slices.
pub(crate) fn conv2d(operation: &Conv2d, data: Conv2dData<'_>) -> Result<(), Error> {
    kernels::conv2d(operation, data).or_rejected("a convolution")
}

/// Packs filters for [`conv2d`].
///
/// # Errors
/// Rejected if the description does not fit the slice.
pub(crate) fn pack_filters(operation: &Conv2d, filters: &[f32]) -> Result<Vec<f32>, Error> {
    let length = operation.packed_len().or_rejected("packed filters")?;
    let mut packed = filled(usize::try_from(length).or_rejected("packed filters")?, 0.0)?;
    kernels::pack_filters(operation, filters, &mut packed).or_rejected("packed filters")?;
    Ok(packed)
}

/// Returns a size as the kernels take it.
///
/// # Errors
/// Rejected if it has more than 32 bits.
pub(crate) fn size(size: usize) -> Result<u32, Error> {
    u32::try_from(size).or_rejected(format_args!("a size of {size}"))
}

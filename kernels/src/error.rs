//! The faults of a description.

use std::fmt;

/// The reason why an operation was refused. Nothing has been written then.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Error {
    /// A size is 0.
    Zero(&'static str),
    /// A size cannot be computed in 64 bits, or exceeds a limit.
    TooLarge(&'static str),
    /// A slice has another length than the description demands.
    Length {
        /// The slice.
        name: &'static str,
        /// The numbers that it has.
        actual: u64,
        /// The numbers that it must have.
        expected: u64,
    },
    /// Two elements of the output share a place.
    OutputOverlaps,
    /// Values that do not fit together; the text says which.
    Misfit(&'static str),
}

impl fmt::Display for Error {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Error::Zero(name) => write!(out, "{name} is 0"),
            Error::TooLarge(name) => write!(out, "{name} is too large"),
            Error::Length { name, actual, expected } => {
                write!(out, "{name} has {actual} elements and needs {expected}")
            }
            Error::OutputOverlaps => out.write_str("the strides make rows of the output overlap"),
            Error::Misfit(text) => out.write_str(text),
        }
    }
}

impl std::error::Error for Error {}

/// Returns `size`, which must not be 0.
pub(crate) fn positive(size: u32, name: &'static str) -> Result<u64, Error> {
    if size == 0 { Err(Error::Zero(name)) } else { Ok(size.into()) }
}

/// Returns the product of sizes.
pub(crate) fn product(sizes: &[u64], name: &'static str) -> Result<u64, Error> {
    let product = sizes.iter().try_fold(1_u64, |product, size| product.checked_mul(*size));
    product.ok_or(Error::TooLarge(name))
}

/// Returns `size` as a length on this machine.
pub(crate) fn length(size: u64, name: &'static str) -> Result<usize, Error> {
    usize::try_from(size).map_err(|_| Error::TooLarge(name))
}

/// Fails unless a slice has exactly the expected length.
pub(crate) fn exactly<T>(slice: &[T], expected: u64, name: &'static str) -> Result<(), Error> {
    let actual = slice.len() as u64;
    if actual == expected { Ok(()) } else { Err(Error::Length { name, actual, expected }) }
}

/// Fails unless a slice has at least the expected length.
pub(crate) fn at_least<T>(slice: &[T], expected: u64, name: &'static str) -> Result<(), Error> {
    let actual = slice.len() as u64;
    if actual >= expected { Ok(()) } else { Err(Error::Length { name, actual, expected }) }
}

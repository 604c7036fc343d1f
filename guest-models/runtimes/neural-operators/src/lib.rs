//! The operators of neural networks, and how a file with them is opened.
//!
//! Products of matrices and convolutions run in the kernels of the host.

mod kernels;
mod operators;

#[cfg(test)]
mod tests;

use model_file::{Predictor, SavedMetadata};
use onnx_executor::Registry;
use onnx_executor::graph::ReadFile;
use onnx_executor::operators::GENERAL;
use wardian_sdk::Error;

/// The operators of neural networks, and the general ones.
pub const OPERATORS: Registry = Registry::new(&[operators::NEURAL, GENERAL]);

/// Reads an ONNX file. `read` reads files with data beside it.
///
/// # Errors
/// Failed if it is damaged, or has something that is not served; the text names the operator and
/// node, and what to do.
pub fn open(
    file: Vec<u8>,
    saved: &SavedMetadata,
    read: ReadFile<'_>,
) -> Result<Box<dyn Predictor>, Error> {
    onnx_executor::open(file, saved, OPERATORS, read)
}

//! ONNX graphs, as `skl2onnx` and `onnxmltools` write them. The crate `onnx-executor` reads and
//! runs them; this module adds the operators of ai.onnx.ml.

mod ml;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;

use model_file::{Predictor, SavedMetadata};
use onnx_executor::Registry;
use onnx_executor::operators::GENERAL;
use wardian_sdk::Error;

/// The operators of this runtime.
const OPERATORS: Registry = Registry::new(&[GENERAL, &[ml::OPERATORS]]);

/// Reads an ONNX file.
///
/// # Errors
/// Failed if it is damaged, or has something that is not served; the text names the operator and
/// node, and what to do.
pub(crate) fn open(file: &[u8], saved: &SavedMetadata) -> Result<Box<dyn Predictor>, Error> {
    let file = model_file::scratch(|| file.to_vec());
    onnx_executor::open(file, saved, OPERATORS, &wardian_sdk::artifacts::read)
}

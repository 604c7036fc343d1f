//! ONNX graphs, as `skl2onnx` and `onnxmltools` write them.

mod graph;
mod kernel;
mod ml;
mod model;
mod node;
mod operators;
mod program;
mod proto;
mod registry;
mod tensor;
mod text;
mod value_type;

#[cfg(test)]
mod testing;

#[cfg(test)]
mod tests;

pub(crate) use program::Program;

use wardian_sdk::Error;

use crate::{Predictor, SavedMetadata};

/// Reads an ONNX file.
///
/// # Errors Failed if it is damaged, or has something that is not served; the text names the
/// operator and node, and what to do.
pub(crate) fn open(file: &[u8], saved: &SavedMetadata) -> Result<Box<dyn Predictor>, Error> {
    match model::open(file, saved) {
        Ok(model) => Ok(Box::new(model)),
        Err(error) => Err(Error::failed(text::shown(&error.to_string()))),
    }
}

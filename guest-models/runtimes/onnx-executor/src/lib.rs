//! ONNX files: reads them, and runs their graphs.
//!
//! A file becomes a [`Program`] once: names are resolved, attributes are read, types are checked,
//! constants are computed. What a runtime serves is in its [`Registry`] of operators: those of
//! [`operators`], and its own. [`open`] makes a model of a file, for a runtime to serve.

#![expect(clippy::len_without_is_empty, reason = "nothing asks whether a tensor is empty")]

pub mod graph;
mod halves;
pub mod kernel;
pub mod model;
pub mod node;
pub mod operators;
mod program;
pub mod proto;
mod registry;
pub mod tensor;
pub mod text;
pub mod value_type;

#[cfg(any(test, feature = "testing"))]
pub mod testing;

#[cfg(test)]
mod tests;

pub use program::Program;
pub use registry::Registry;

use graph::ReadFile;
use model_file::{Predictor, SavedMetadata};
#[doc(hidden)]
pub use wardian_sdk::Error;

/// Reads an ONNX file with these operators. `read` reads files with data beside it.
///
/// # Errors
/// Failed if it is damaged, or has something that is not served; the text names the operator and
/// node, and what to do.
pub fn open(
    file: Vec<u8>,
    saved: &SavedMetadata,
    registry: Registry,
    read: ReadFile<'_>,
) -> Result<Box<dyn Predictor>, Error> {
    match model::open(file.into(), saved, registry, read) {
        Ok(model) => Ok(Box::new(model)),
        Err(error) => Err(Error::failed(text::shown(&error.to_string()))),
    }
}

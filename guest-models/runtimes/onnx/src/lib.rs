//! The runtime `onnx`: serves neural networks as ONNX files, without any capability.
//!
//! `load` reads the model file of the version's folder, and the files with its data beside it. What
//! is served is what has an operator in [`OPERATORS`]; everything else is refused by name.

use model_file::{Predictor, SavedMetadata};
pub use neural_operators::OPERATORS;
use wardian_sdk::{Error, Metadata, Model, Request, Response};

/// Reads an ONNX file.
///
/// # Errors
/// Failed if it is damaged, or has something that is not served; the text names the operator and
/// node, and what to do.
pub fn open(file: Vec<u8>, saved: &SavedMetadata) -> Result<Box<dyn Predictor>, Error> {
    neural_operators::open(file, saved, &wardian_sdk::artifacts::read)
}

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: model_file::Allocator = model_file::Allocator;

struct Network {
    predictor: Box<dyn Predictor>,
}

impl Model for Network {
    fn load() -> Result<Self, Error> {
        Ok(Self { predictor: model_file::load(open)? })
    }

    fn metadata(&self) -> Metadata {
        self.predictor.metadata()
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        self.predictor.predict(&request)
    }
}

wardian_sdk::export!(Network);

wardian_sdk::runtime! {
    name: "onnx",
    formats: ["onnx"],
    extensions: ["onnx"],
}

//! The runtime `tabular`: serves the files of scikit-learn (as ONNX), XGBoost and LightGBM, without
//! any capability.
//!
//! `load` reads the model file of the version's folder, detects its [`Format`] by its content, and
//! makes a [`Predictor`] of it, which answers every request.

mod format;
pub use format::Format;
pub use model_file::{Predictor, SavedMetadata};

mod lightgbm;
mod onnx;
mod wardian_trees;
mod xgboost;

mod classes;
mod frame;
mod links;
mod number_lists;
mod refusal;
pub mod trees;

#[cfg(fuzzing)]
pub mod fuzzing;
#[cfg(test)]
mod testing;

use wardian_sdk::{Error, Metadata, Model, Request, Response};

/// Reads a model file.
///
/// # Errors
/// Failed if the file is not of a known format, or holds something that cannot be served as its
/// library does; the text names the operator or field, and what to do.
pub fn open(file: &[u8], saved: &SavedMetadata) -> Result<Box<dyn Predictor>, Error> {
    match Format::detect(file) {
        Some(Format::WardianTrees) => wardian_trees::open(file, saved),
        Some(Format::Lightgbm) => lightgbm::open(file, saved),
        Some(Format::Onnx) => onnx::open(file, saved),
        Some(format @ (Format::XgboostJson | Format::XgboostUbjson)) => {
            xgboost::open(file, format, saved)
        }
        None => Err(xgboost::unserved(file).unwrap_or_else(|| {
            Error::failed("this is not a file of ONNX, XGBoost (JSON or UBJSON) or LightGBM (text)")
        })),
    }
}

#[cfg(target_family = "wasm")]
#[global_allocator]
static ALLOCATOR: model_file::Allocator = model_file::Allocator;

struct Tabular {
    predictor: Box<dyn Predictor>,
}

impl Model for Tabular {
    fn load() -> Result<Self, Error> {
        let predictor = model_file::load(|file, saved| open(&file, saved))?;
        Ok(Self { predictor })
    }

    fn metadata(&self) -> Metadata {
        self.predictor.metadata()
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        self.predictor.predict(&request)
    }
}

wardian_sdk::export!(Tabular);

wardian_sdk::runtime! {
    name: "tabular",
    formats: ["onnx-ml", "xgboost-json", "xgboost-ubjson", "lightgbm", "wardian-trees"],
    extensions: ["json", "ubj", "txt", "trees.json"],
}

//! The common parts of the runtimes of model files: the interface of a model that has been read
//! from its file, and `metadata.json` beside it.

mod predictor;
mod saved_metadata;
#[cfg(feature = "testing")]
pub mod testing;

pub use predictor::Predictor;
pub use saved_metadata::{Class, SavedMetadata};

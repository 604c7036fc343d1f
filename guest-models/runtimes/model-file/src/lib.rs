//! The common parts of the runtimes of model files: the interface of a model that has been read
//! from its file, `metadata.json` beside it, and the memory of `load`.

mod load;
mod predictor;
mod saved_metadata;
mod scratch;
#[cfg(feature = "testing")]
pub mod testing;

pub use load::load;
pub use predictor::Predictor;
pub use saved_metadata::{Class, SavedMetadata};
#[cfg(target_family = "wasm")]
pub use scratch::Allocator;
pub use scratch::{keep, scratch};

//! Reading the model file of a version.

use wardian_sdk::{Error, artifacts};

use super::scratch::{end_load, start_load};
use super::{Predictor, SavedMetadata, scratch};

/// Reads the model file of the version's folder and what was saved beside it, and opens it with a
/// function of the runtime. Memory that is freed meanwhile is not in the snapshot.
///
/// # Errors
/// Failed if there is no such file, it is empty, or the function fails.
pub fn load(
    open: impl FnOnce(Vec<u8>, &SavedMetadata) -> Result<Box<dyn Predictor>, Error>,
) -> Result<Box<dyn Predictor>, Error> {
    let name = artifacts::model_file()?;
    let read = artifacts::read(&name)?;
    if read.is_empty() {
        return Err(Error::failed(format_args!("{name} is empty; copy it again")));
    }
    start_load(read.len());

    // The model then takes the place of the file at the start of the heap.
    let file = scratch(|| read.clone());
    drop(read);

    let predictor = SavedMetadata::read().and_then(|saved| open(file, &saved));
    end_load();
    predictor
}

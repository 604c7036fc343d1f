//! The files that XGBoost saves with `save_model`, in JSON or UBJSON.
//!
//! A file is a [`document`]; the [`learner`] in it has a booster of trees ([`gbtree`]) or
//! coefficients ([`gblinear`]), whose sums an [`objective`] turns into answers. All numbers are
//! float32, and every operation is in the library's order.

mod document;

mod base_score;
mod objective;

mod categories;
mod gblinear;
mod gbtree;
mod tree;

mod booster;
mod learner;
mod version;

mod input_column;
mod inputs;
mod outputs;
mod predictor;

mod unserved;
pub(crate) use unserved::unserved;

use model_file::scratch;
use wardian_sdk::Error;

use crate::{Format, Predictor, SavedMetadata};

/// Reads a file of XGBoost.
///
/// # Errors
/// Failed if it is not valid, or holds something that cannot be served as the library does; the
/// text names the field.
pub(crate) fn open(
    file: &[u8],
    format: Format,
    saved: &SavedMetadata,
) -> Result<Box<dyn Predictor>, Error> {
    let document = scratch(|| document::read(file, format))?;
    let learner = learner::Learner::read(document, file.len())?;
    Ok(Box::new(predictor::XgboostPredictor::new(learner, format, saved)?))
}

#[cfg(test)]
mod tests;

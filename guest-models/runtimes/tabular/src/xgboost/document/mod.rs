//! The tree of values that a file of XGBoost is, in JSON or UBJSON.
//!
//! Both readers make the same [`Value`]: arrays of numbers are kept as numbers, so that a file's
//! value needs memory in proportion to the file. Statistics of training are skipped.

mod json;
mod ubjson;

mod fields;
pub(super) use fields::Fields;

mod shown;
pub(super) use shown::shown;

mod object;
pub(super) use object::Object;
use object::ObjectBuilder;

mod value;
pub(super) use value::Value;
use value::{ArrayBuilder, is_skipped};

use wardian_sdk::{Error, OrError};

use crate::Format;

/// The most objects and arrays inside each other. A model has eight.
const MAX_DEPTH: usize = 64;

/// Reads a file's object.
///
/// # Errors
/// Failed if the file is not valid, or is not an object; the text says where.
pub(super) fn read(file: &[u8], format: Format) -> Result<Object, Error> {
    let value = match format {
        Format::XgboostUbjson => ubjson::read(file).or_failed("the file is not valid UBJSON")?,
        _ => json::read(file).or_failed("the file is not valid JSON")?,
    };
    value.into_object().or_failed("the file is not an object")
}

#[cfg(test)]
mod tests;

//! The functions that the fuzz targets in `fuzz/` call: one per target. Each panics if a property
//! is broken.
//!
//! Exists only in builds with `--cfg fuzzing`. The properties stand beside the code they check,
//! where they can see private items; this module lists them.

pub use crate::api::fuzzing::{
    golden, grpc, infer_binary, infer_json, openai, path, route_request, table, websocket,
};
pub use crate::config::fuzzing::wardian_toml;
pub use crate::database::fuzzing::sql;
pub use crate::registry::fuzzing::routes;
pub use crate::repository::fuzzing::{archive, model_toml, names};
pub use crate::repository::remote::fuzzing::object;

/// Checks that an error text can be shown to a caller: it holds no control characters and at most
/// `most` bytes, however much the input would repeat.
pub(crate) fn check_text(text: &str, most: usize) {
    assert!(!text.is_empty(), "an error without a text");
    assert!(text.len() <= most, "an error text of {} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "an error text with control characters: {text:?}");
}

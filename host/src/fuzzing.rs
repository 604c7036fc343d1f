//! What the fuzz targets in `fuzz/` call: one function per target, which panics when a property is
//! broken.
//!
//! Exists only where the compiler is told `--cfg fuzzing`. The properties stand beside the code
//! they hold to account, where they can see what is private; this names them all in one place.

pub use crate::api::fuzzing::{golden, infer_binary, infer_json, path};
pub use crate::config::fuzzing::wardian_toml;
pub use crate::database::fuzzing::sql;
pub use crate::repository::fuzzing::{model_toml, names};
pub use crate::repository::remote::fuzzing::object;

/// Checks that an error text can be shown to anyone: it holds nothing that a terminal obeys, and no
/// more than so many bytes, however much the sender would like to have repeated.
pub(crate) fn check_text(text: &str, most: usize) {
    assert!(!text.is_empty(), "an error without a text");
    assert!(text.len() <= most, "an error text of {} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "an error text with control characters: {text:?}");
}

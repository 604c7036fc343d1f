//! What the fuzz targets in `fuzz/` call: one function per target, which panics when a property is broken.
//!
//! Exists only where the compiler is told `--cfg fuzzing`. The properties stand beside the code they hold to
//! account, where they can see what is private; this names them all in one place.

pub use crate::api::fuzzing::{golden, infer_binary, infer_json, path};
pub use crate::config::fuzzing::wardian_toml;
pub use crate::repository::fuzzing::{model_toml, names};

/// Bytes of an error text beyond which it would fill a log, an answer or a screen.
const MOST_TEXT: usize = 2000;

/// Checks that an error text can be shown to anyone: it is short, and holds nothing a terminal obeys.
pub(crate) fn check_text(text: &str) {
    assert!(!text.is_empty(), "an error without a text");
    assert!(text.len() <= MOST_TEXT, "an error text of {} bytes: {text}", text.len());
    assert!(!text.contains(char::is_control), "an error text with control characters: {text:?}");
}

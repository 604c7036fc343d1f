//! The generate extension: names that models choose, and JSON that callers write.
//!
//! Streams are tested in `streaming`.

mod names;
mod parameters;
mod texts;

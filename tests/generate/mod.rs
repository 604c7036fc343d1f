//! The generate extension with the names that models choose, and with what callers write.
//!
//! What makes an answer in parts is in `streaming`.

mod names;
mod parameters;
mod texts;

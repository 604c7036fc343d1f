//! Reading and writing JSON on the request path.
//!
//! `serde_json` handles everything else. Requests and responses consist mostly of numbers whose
//! type is known only from the tensor's datatype, so they have their own reader and writer: one
//! pass, numbers go directly between text and tensor bytes, each is rounded once to the declared
//! datatype (never through an `f64`), and every error states its position. A property test checks
//! that the reader accepts exactly what `serde_json` accepts.

mod number;
mod reader;
mod writer;

pub(super) use number::{Number, whole_value};
pub(super) use reader::{JsonError, Reader, shorten};
pub(super) use writer::{write_float, write_integer, write_string};

/// Text of a body for each byte that the model may answer with: a byte that is escaped takes six.
pub(super) const EXPANSION: u64 = 8;

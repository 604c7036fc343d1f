//! Reading and writing JSON on the request path.
//!
//! `serde_json` reads and writes everything else. Requests and responses are mostly numbers whose
//! type is not known to Rust's type system but to the tensor beside them, so they get a reader and
//! a writer of their own: one pass, numbers go straight between text and tensor bytes, each rounded
//! once to the datatype that was declared (never by way of an `f64`), and every fault can tell its
//! place. A property test holds the reader to accept exactly what `serde_json` accepts.

mod number;
mod reader;
mod writer;

pub(super) use number::Number;
pub(super) use reader::{Fault, Reader, shorten};
pub(super) use writer::{write_float, write_integer, write_string};

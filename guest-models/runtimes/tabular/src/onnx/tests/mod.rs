//! Tests of whole files.

mod files;
mod hostile;
mod model;
mod operators;

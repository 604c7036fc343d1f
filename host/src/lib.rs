//! Wardian serves models as sandboxed WebAssembly components.

pub mod model;

//! Wardian serves models as sandboxed WebAssembly components.

pub mod capability;
pub mod engine;
pub mod model;

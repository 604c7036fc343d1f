//! Wardian serves models as sandboxed WebAssembly components.

pub mod cli;

pub mod api;
pub mod config;
pub mod server;

pub mod dataplane;
pub mod lifecycle;
pub mod registry;
pub mod repository;

pub mod servable;

pub mod capability;
pub mod engine;

pub mod model;
pub mod telemetry;

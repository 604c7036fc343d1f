//! The engine of Wardian, the capabilities that guests import, the stores behind them, and the
//! tenants that they are accounted to.
//!
//! This crate knows no HTTP route, repository or version. The crate `wardian` does; its
//! documentation describes the layers and the invariants of both.

pub mod engine;

pub mod capability;
pub mod store;

pub mod database;

pub mod tenant;

pub mod files;
pub mod journal;
pub mod model;

pub mod essential;
pub mod telemetry;

pub mod allocator;
pub mod blocking;
pub mod box_future;
pub mod disk_errors;
pub mod mutex;

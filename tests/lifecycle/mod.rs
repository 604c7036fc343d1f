//! The lifecycle of a version, from candidate to retirement.

mod commands;
mod draining;
mod memory;
mod proof;
mod store;
mod trouble;

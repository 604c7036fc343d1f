//! The lifecycle of a version, from candidate to retirement.

mod commands;
mod draining;
mod host_failures;
mod memory;
mod shared_code;
mod store;
mod validation;

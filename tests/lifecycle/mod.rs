//! From a candidate to what serves, and back.

mod commands;
mod draining;
mod memory;
mod proof;
mod store;
mod trouble;

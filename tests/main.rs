//! Drives the real server with real components.
//!
//! Each test starts the program itself on a free port, with directories of its own, and looks at it
//! from outside: over HTTP, in its repository, in its log. Nothing here sleeps: a test waits for a
//! state, and the [`harness`] looks again and again until it is there or a generous deadline has
//! passed.

// Here a panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod clients;
mod http;
mod swap;

mod bad_artifacts;
mod batching;
mod blame;
mod canary;
mod command_line;
mod documentation;
mod edges;
mod egress;
mod engine;
mod generate;
mod hostile;
mod interceptors;
mod key_value;
mod lifecycle;
mod lifespan;
mod remote;
mod repository;
mod sessions;
mod settings;
mod sql;
mod streaming;
mod tenants;
mod upload;

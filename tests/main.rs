//! Integration tests: the real server with real components.
//!
//! Each test starts the program on a free port, with directories of its own, and observes it from
//! outside: over HTTP, in its repository, and in its log. No test sleeps for a fixed time: it waits
//! for a state, and the [`harness`] polls until the state is reached or a generous deadline has
//! passed.

// A panic is how a test fails.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)]

mod harness;

mod clients;
mod http;
mod swap;

mod bad_artifacts;
mod batching;
mod blame;
mod command_line;
mod connections;
mod dashboard;
mod documentation;
mod egress;
mod engine;
mod generate;
mod grpc;
mod hostile;
mod interceptors;
mod kernels;
mod key_value;
mod lifecycle;
mod lifespan;
mod log;
mod memory_residue;
mod model_files;
mod onnx_node_tests;
mod openai;
mod protocols;
mod remote;
mod repository;
mod routes;
mod sessions;
mod sql;
mod streaming;
mod tenants;
mod upload;

//! Drives the real server with real components.

mod harness;

mod http;
mod stock_clients;
mod swap;

//! Drives the real server with real components.

mod harness;

mod stock_clients;
mod swap;

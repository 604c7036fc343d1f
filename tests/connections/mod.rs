//! Connections of real clients and proxies: their limits, persistent connections, unread bodies and
//! responses, and the checks of a request's head.

mod connection_limit;
mod connections_per_address;
mod head_checks;
mod keep_alive;
mod nginx;
mod pacing;
mod unread_bodies;
mod unread_responses;
mod wire;

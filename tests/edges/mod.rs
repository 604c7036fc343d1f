//! HTTP as real clients and proxies speak it: bodies that are refused, connections that stay open,
//! heads that are ambiguous, and pages that ask.

mod connections;
mod foreign;
mod nginx;
mod room;
mod unread;
mod untaken;
mod wire;

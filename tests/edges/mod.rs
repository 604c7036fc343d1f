//! HTTP as real clients and proxies use it: refused bodies, persistent connections, ambiguous
//! heads, and requests from web pages.

mod connections;
mod foreign;
mod nginx;
mod room;
mod unread;
mod untaken;
mod wire;

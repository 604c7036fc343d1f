//! HTTP as real clients and proxies use it: refused bodies, persistent connections, ambiguous
//! heads, and requests from web pages.

mod connection_limit;
mod connections;
mod nginx;
mod pacing;
mod peers;
mod unread_bodies;
mod unread_responses;
mod web_pages;
mod wire;

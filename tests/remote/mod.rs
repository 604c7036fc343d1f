//! Repositories behind URLs: models come from a real S3 server, which fails and lies as such
//! servers do, and from servers of other kinds.

mod clouds;
mod door;
mod fake;
mod listings;
mod program;
mod refreshes;
mod store;
mod tenants;
mod trouble;
mod web;

use self::store::Bucket;
use crate::harness::{Server, until};

/// Often enough that a test need not ask.
const OFTEN: &str = "settle = '20ms'\nrefresh = '1s'";

/// Only when a test asks.
const SELDOM: &str = "settle = '20ms'\nrefresh = '1h'";

/// Why the repository is not what it should be; empty while it is.
fn degraded(server: &Server) -> String {
    server.get("/v2/health/ready").json()["degraded"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the repository is degraded for a reason with these words in it; none mean that it no
/// longer is.
fn until_degraded(server: &Server, words: &str) {
    until(&format!("that the repository is degraded: '{words}'"), || {
        let told = degraded(server);
        told.is_empty() == words.is_empty() && told.contains(words)
    });
}

/// Asks for a refresh, which goes well.
fn refresh(server: &Server) {
    server.call("POST", "/v2/repository/refresh").send().ok();
}

/// Bytes that were fetched since the server started.
fn fetched(server: &Server) -> f64 {
    server.metric("wardian_repository_fetched_bytes_total").unwrap_or(0.0)
}

/// A server of one model that was fetched.
fn serving(config: &str) -> Option<(Bucket, Server)> {
    let bucket = Bucket::new()?;
    bucket.put("models/puppet.wasm", crate::harness::puppet("version=1"));
    let server = bucket.serve("models", config).start();
    server.until_version_of("puppet", 1);
    Some((bucket, server))
}

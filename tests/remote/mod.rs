//! Repositories behind URLs: models from a real S3 server, which fails as such servers do, and from
//! stores of other kinds.

mod clouds;
mod fake;
mod listings;
mod program;
mod pruning;
mod refreshes;
mod store;
mod store_failures;
mod tcp_proxy;
mod tenants;
mod web;

use self::store::Bucket;
use crate::harness::{Server, until};

/// A refresh interval short enough for tests that do not trigger refreshes.
const OFTEN: &str = "settle = '20ms'\nrefresh = '1s'";

/// A refresh interval for tests that trigger refreshes themselves.
const SELDOM: &str = "settle = '20ms'\nrefresh = '1h'";

/// Returns the reason why the repository is degraded; empty if it is not.
fn degraded(server: &Server) -> String {
    server.get("/v2/health/ready").json()["degraded"].as_str().unwrap_or_default().to_owned()
}

/// Waits until the repository is degraded for a reason that contains `words`; empty `words` mean
/// that it is not degraded.
fn until_degraded(server: &Server, words: &str) {
    until(&format!("that the repository is degraded: '{words}'"), || {
        let told = degraded(server);
        told.is_empty() == words.is_empty() && told.contains(words)
    });
}

/// Triggers a refresh, and asserts that it succeeds.
fn refresh(server: &Server) {
    server.call("POST", "/v2/repository/refresh").send().ok();
}

/// Returns the number of bytes fetched since the server started.
fn fetched(server: &Server) -> f64 {
    server.metric("wardian_repository_fetched_bytes_total").unwrap_or(0.0)
}

/// Starts a server with one model that was fetched.
fn serving(config: &str) -> Option<(Bucket, Server)> {
    let bucket = Bucket::new()?;
    bucket.put("models/scripted.wasm", crate::harness::scripted("version=1"));
    let server = bucket.serve("models", config).start();
    server.until_version_of("scripted", 1);
    Some((bucket, server))
}

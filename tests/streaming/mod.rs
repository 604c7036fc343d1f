//! Streams: how parts arrive, what ends a stream, and what it holds meanwhile.

mod command;
mod errors;
mod interceptors;
mod lifespan;
mod limits;
mod merged;
mod parts;
mod readers;
mod requests;
mod tenants;

use serde_json::{Value, json};

use crate::harness::{Models, Server, guest};

/// Starts a server with a streamer that has these settings.
fn server(settings: &str) -> Server {
    let server = Server::with_models(|models| streamer(models, "streamer", settings)).start();
    server.until_ready("streamer", 1);
    server
}

/// Writes a streamer.
fn streamer(models: &Models, name: &str, settings: &str) {
    models.settings(name, settings);
    models.version(name, 1, guest("streamer"));
}

/// A request for parts without end, as fast as they are read.
fn endless() -> Value {
    json!({ "parts": i64::MAX, "size": 1 << 20 })
}

/// Limits above all buffers between the model and a client.
const LARGE: &str = "[streaming]\ntotal = '2GiB'\ndeadline = '10m'\ncpu_time = '10m'\n";

/// Returns the value of a metric, summed over all versions of the streamer.
fn metric(server: &Server, name: &str) -> f64 {
    server.metric(&format!("wardian_{name}{{")).unwrap_or(0.0)
}

//! Answers in parts: how they come, what stops them, and what they hold while they are under way.

mod command;
mod errors;
mod lifespan;
mod limits;
mod parts;
mod readers;
mod requests;
mod tenants;
mod whole;
mod wrapped;

use serde_json::{Value, json};

use crate::harness::{Models, Server, guest};

/// A server with a streamer that has these settings.
fn server(settings: &str) -> Server {
    let server = Server::with_models(|models| streamer(models, "streamer", settings)).start();
    server.until_ready("streamer", 1);
    server
}

/// Puts a streamer there.
fn streamer(models: &Models, name: &str, settings: &str) {
    models.settings(name, settings);
    models.version(name, 1, guest("streamer"));
}

/// Parts without end, as fast as they are read.
fn endless() -> Value {
    json!({ "parts": i64::MAX, "size": 1 << 20 })
}

/// Room for more than all buffers on the way to a client can take.
const LARGE: &str = "[streaming]\ntotal = '2GiB'\ndeadline = '10m'\ncpu_time = '10m'\n";

/// The value of a metric over all versions of the streamer.
fn metric(server: &Server, name: &str) -> f64 {
    server.metric(&format!("wardian_{name}{{")).unwrap_or(0.0)
}

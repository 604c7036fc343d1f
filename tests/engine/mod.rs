//! Guests cannot do lasting damage to the host, to other guests, or to themselves.

mod faults;
mod instances;
mod limits;
mod logging;
mod queue;

use crate::harness::{Models, Server, scripted};

/// Starts a server with one scripted model under these settings.
fn scripted_with(model_toml: &str) -> Server {
    let server = Server::with_models(|models| add(models, "scripted", model_toml)).start();
    server.until_version_of("scripted", 1);
    server
}

fn add(models: &Models, name: &str, model_toml: &str) {
    models.settings(name, model_toml);
    models.version(name, 1, scripted("version=1"));
}

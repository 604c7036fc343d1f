//! Faults and blame: no caller can take a good model out of service for other callers, whatever it
//! sends.
//!
//! Each file covers one way to the circuit breaker. `hostile/breaker.rs` covers the breaker for a
//! model that only fails.

mod amounts;
mod callers;
mod deadlines;
mod interceptors;
mod outputs;
mod repeats;
mod streams;

use crate::harness::{Models, Server, Setup, guest, scripted};

/// Consecutive faults that take a version out of service.
const FAULTS: usize = 3;

/// More requests than `FAULTS`: the version stays in service only if none of them counts.
const MANY: usize = 2 * FAULTS;

const BREAKER: &str = "[breaker]\nfaults = 3\npause = '1h'\n";

/// A server, not yet started, with two versions of a scripted model.
fn two_scripted_models(settings: &str) -> Setup {
    Server::with_models(|models| add_scripted_models(models, settings))
}

fn add_scripted_models(models: &Models, settings: &str) {
    models.settings("model", &format!("{BREAKER}{settings}"));
    (1..=2).for_each(|version| {
        models.version("model", version, scripted(&format!("version={version}")))
    });
}

/// Starts a server with one version of a guest.
fn one(name: &str, settings: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings("model", &format!("{BREAKER}{settings}"));
        models.version("model", 1, guest(name));
    })
    .start();
    server.until_ready("model", 1);
    server
}

/// Asserts that the model is in service and has never been out of service.
#[track_caller]
fn has_never_tripped(server: &Server) {
    assert_eq!(server.config_of("model")["wardian"]["suspended"], false);
    assert_eq!(server.metric("wardian_trips_total{").unwrap_or(0.0), 0.0);
    server.get("/v2/models/model/ready").ok();
}

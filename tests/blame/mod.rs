//! Faults and blame: no caller can take a good model from the others, whatever it asks for.
//!
//! Each file is about one way to the circuit breaker. That the breaker still works for a model that
//! does nothing but fail is in `hostile/breaker.rs`.

mod amounts;
mod callers;
mod deadlines;
mod interceptors;
mod outputs;
mod repeats;
mod streams;

use crate::harness::{Models, Server, Setup, guest, puppet};

/// Faults in a row that take a version out of service.
const FAULTS: usize = 3;

/// More requests than that, so that all of them would have to be without blame.
const MANY: usize = 2 * FAULTS;

const BREAKER: &str = "[breaker]\nfaults = 3\npause = '1h'\n";

/// A server, not yet running, with two versions of a puppet.
fn two_puppets(settings: &str) -> Setup {
    Server::with_models(|models| add_puppets(models, settings))
}

fn add_puppets(models: &Models, settings: &str) {
    models.settings("model", &format!("{BREAKER}{settings}"));
    (1..=2).for_each(|version| {
        models.version("model", version, puppet(&format!("version={version}")))
    });
}

/// A server with one version of a guest.
fn one(name: &str, settings: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings("model", &format!("{BREAKER}{settings}"));
        models.version("model", 1, guest(name));
    })
    .start();
    server.until_ready("model", 1);
    server
}

/// Asserts that the model is in service and has never been out of it.
#[track_caller]
fn has_never_tripped(server: &Server) {
    assert_eq!(server.config_of("model")["wardian"]["suspended"], false);
    assert_eq!(server.metric("wardian_trips_total{").unwrap_or(0.0), 0.0);
    server.get("/v2/models/model/ready").ok();
}

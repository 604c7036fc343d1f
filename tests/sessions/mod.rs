//! Sessions and deferred tasks: state that outlives requests, and work that outlives responses.

mod crash;
mod deferring;
mod keeping;
mod limits;
mod order;
mod restart;
mod retries;
mod streams;
mod swap;
mod tenants;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, guest};

/// The settings of a keeper whose tasks are tried again soon.
const SOON: &str = "[deferred]\npause = \"20ms\"\n";

/// A server with one keeper, not yet running.
fn setup(settings: &str) -> Setup {
    Server::with_models(|models| keeper(models, settings))
}

fn keeper(models: &Models, settings: &str) {
    models.settings("keeper", settings);
    models.version("keeper", 1, guest("keeper"));
}

/// A running server with one keeper that serves.
fn started(settings: &str) -> Server {
    let server = setup(settings).start();
    server.until_ready("keeper", 1);
    server
}

/// A request that has the keeper do something, in a session that it begins if `start` says so.
fn request(session: &str, start: bool, orders: &str) -> Value {
    let parameters = json!({ "sequence_id": session, "sequence_start": start, "do": orders });
    json!({ "inputs": [], "parameters": parameters })
}

/// Has the keeper do something in a session.
fn ask(server: &Server, session: &str, orders: &str) -> Response {
    server.infer("keeper", &request(session, false, orders))
}

/// As `ask`, in a session that it begins.
fn begin(server: &Server, session: &str, orders: &str) -> Response {
    server.infer("keeper", &request(session, true, orders))
}

/// What a session holds.
#[track_caller]
fn state(server: &Server, session: &str) -> String {
    words(&ask(server, session, ""))
}

/// What a session holds, by an answer.
#[track_caller]
fn words(response: &Response) -> String {
    response.output("state")[0].as_str().unwrap().to_owned()
}

/// The tasks as they are listed.
fn tasks(server: &Server) -> Vec<Value> {
    server.get("/v2/tasks").ok().json()["tasks"].as_array().unwrap().clone()
}

/// The sessions as they are listed.
fn sessions(server: &Server) -> Vec<Value> {
    server.get("/v2/models/keeper/sessions").ok().json()["sessions"].as_array().unwrap().clone()
}

/// What is told of a tenant's quota: how much is used, and the limit.
fn quota(server: &Server, name: &str) -> Value {
    server.get("/v2/usage").ok().json()["quota"][name].clone()
}

//! Sessions and deferred tasks: state that outlives requests, and work that outlives responses.

mod crash;
mod deferred_tasks;
mod limits;
mod order;
mod restart;
mod retries;
mod state;
mod streams;
mod swap;
mod tenants;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, guest};

/// Settings for tasks that are retried soon.
const SOON: &str = "[deferred]\npause = \"20ms\"\n";

/// A server, not yet started, with one session model.
fn setup(settings: &str) -> Setup {
    Server::with_models(|models| session_words(models, settings))
}

fn session_words(models: &Models, settings: &str) {
    models.settings("session-words", settings);
    models.version("session-words", 1, guest("session-words"));
}

/// Starts a server with one session model, and waits until it serves.
fn started(settings: &str) -> Server {
    let server = setup(settings).start();
    server.until_ready("session-words", 1);
    server
}

/// A request with orders for the session model, in a session that it begins if `start` is true.
fn request(session: &str, start: bool, orders: &str) -> Value {
    let parameters = json!({ "sequence_id": session, "sequence_start": start, "do": orders });
    json!({ "inputs": [], "parameters": parameters })
}

/// Sends orders to the session model, in an existing session.
fn ask(server: &Server, session: &str, orders: &str) -> Response {
    server.infer("session-words", &request(session, false, orders))
}

/// Like `ask`, in a session that the request begins.
fn begin(server: &Server, session: &str, orders: &str) -> Response {
    server.infer("session-words", &request(session, true, orders))
}

/// Returns the state of a session.
#[track_caller]
fn state(server: &Server, session: &str) -> String {
    words(&ask(server, session, ""))
}

/// Returns the state of a session, from a response.
#[track_caller]
fn words(response: &Response) -> String {
    response.output("state")[0].as_str().unwrap().to_owned()
}

/// Returns the listed tasks.
fn tasks(server: &Server) -> Vec<Value> {
    server.get("/v2/tasks").ok().json()["tasks"].as_array().unwrap().clone()
}

/// Returns the listed sessions.
fn sessions(server: &Server) -> Vec<Value> {
    server.get("/v2/models/session-words/sessions").ok().json()["sessions"]
        .as_array()
        .unwrap()
        .clone()
}

/// Returns the usage and the limit of a tenant's quota.
fn quota(server: &Server, name: &str) -> Value {
    server.get("/v2/usage").ok().json()["quota"][name].clone()
}

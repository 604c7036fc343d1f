//! Components that wrap a tenant's models.

mod chain;
mod examples;
mod faults;
mod hooks;
mod parts;
mod places;
mod rejections;
mod swap;
mod tenants;
mod trouble;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, gate, puppet};

/// What an interceptor is called in the index.
fn indexed(name: &str) -> String {
    format!("interceptors/{name}")
}

/// Puts a gate of that name there, as one bare file.
fn add_gate(models: &Models, name: &str, script: &str) {
    models.bare(&indexed(name), gate(&format!("name={name};{script}")));
}

/// A server with a puppet and these gates, all of which serve.
fn with_gates(names: &[&str]) -> Server {
    let server = Server::with_models(|models| {
        models.bare("puppet", puppet("version=1"));
        names.iter().for_each(|name| add_gate(models, name, ""));
    })
    .start();
    server.until_ready("puppet", 1);
    server
}

/// Asks the puppet with parameters that the gates read.
fn ask(server: &Server, parameters: &Value) -> Response {
    server.infer("puppet", &json!({ "inputs": [], "parameters": parameters }))
}

/// A parameter of an answer, as text; empty if it is not there.
#[track_caller]
fn parameter(response: &Response, name: &str) -> String {
    response.ok().json()["parameters"][name].as_str().unwrap_or_default().to_owned()
}

/// Who has seen an answer's request, and the answer.
#[track_caller]
fn trail(response: &Response) -> String {
    parameter(response, "trail")
}

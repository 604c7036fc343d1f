//! The key-value store, used by models through `wasi:keyvalue`: operations, limits and isolation.

mod api;
mod backup;
mod concurrency;
mod crash;
mod hostile;
mod learner;
mod limits;
mod operations;
mod sharing;
mod validation;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, Tenant, guest};

const GRANT: &str = "[capabilities]\nkey_value = true\n";

/// Writes a key-value guest with the key-value capability and further settings.
fn add_key_value_model(models: &Models, name: &str, more: &str) {
    models.settings(name, &format!("{GRANT}{more}"));
    models.version(name, 1, guest("key-value-operations"));
}

/// A server, not yet started, with the model `key-value-operations`.
fn setup(more: &str) -> Setup {
    Server::with_models(|models| add_key_value_model(models, "key-value-operations", more))
}

fn server() -> Server {
    start(setup("[limits]\ndeadline = '10m'\ncpu_time = '10m'"))
}

fn start(setup: Setup) -> Server {
    let server = setup.start();
    server.until_ready("key-value-operations", 1);
    server
}

/// A request with operations for a key-value guest; the words of an operation are separated by
/// spaces.
fn operations(operations: &[&str]) -> Value {
    let data: Vec<_> = operations.iter().map(|text| text.replace(' ', "\t")).collect();
    json!({ "inputs": [{ "name": "do", "datatype": "BYTES", "shape": [data.len()], "data": data }] })
}

/// Returns the results of operations of the model `key-value-operations`.
#[track_caller]
fn ask(server: &Server, all: &[&str]) -> Vec<String> {
    said(&server.infer("key-value-operations", &operations(all)))
}

/// Returns the result of one operation of the model `key-value-operations`.
#[track_caller]
fn ask_one(server: &Server, operation: &str) -> String {
    ask(server, &[operation]).remove(0)
}

/// Returns the result of one operation of a tenant's model.
#[track_caller]
fn ask_of(tenant: &Tenant<'_>, model: &str, operation: &str) -> String {
    said(&tenant.infer(model, &operations(&[operation]))).remove(0)
}

#[track_caller]
fn said(response: &Response) -> Vec<String> {
    response.output("said").iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

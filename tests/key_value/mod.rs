//! Values by key: what a model keeps through `wasi:keyvalue`, and who may see and change it.

mod api;
mod backup;
mod crash;
mod hostile;
mod learner;
mod limits;
mod operations;
mod proof;
mod sharing;
mod together;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, Setup, Tenant, guest};

const GRANT: &str = "[capabilities]\nkey_value = true\n";

/// Puts a counter there that may use values by key, with more settings.
fn add_counter(models: &Models, name: &str, more: &str) {
    models.settings(name, &format!("{GRANT}{more}"));
    models.version(name, 1, guest("counter"));
}

/// A server with the model `counter`.
fn setup(more: &str) -> Setup {
    Server::with_models(|models| add_counter(models, "counter", more))
}

fn server() -> Server {
    start(setup("[limits]\ndeadline = '10m'\ncpu_time = '10m'"))
}

fn start(setup: Setup) -> Server {
    let server = setup.start();
    server.until_ready("counter", 1);
    server
}

/// A request that has a counter carry out these operations; a space is what stands between their
/// words.
fn operations(operations: &[&str]) -> Value {
    let data: Vec<_> = operations.iter().map(|text| text.replace(' ', "\t")).collect();
    json!({ "inputs": [{ "name": "do", "datatype": "BYTES", "shape": [data.len()], "data": data }] })
}

/// What the model `counter` says to these operations.
#[track_caller]
fn ask(server: &Server, all: &[&str]) -> Vec<String> {
    said(&server.infer("counter", &operations(all)))
}

/// What the model `counter` says to one operation.
#[track_caller]
fn ask_one(server: &Server, operation: &str) -> String {
    ask(server, &[operation]).remove(0)
}

/// What a tenant's model says to one operation.
#[track_caller]
fn ask_of(tenant: &Tenant<'_>, model: &str, operation: &str) -> String {
    said(&tenant.infer(model, &operations(&[operation]))).remove(0)
}

#[track_caller]
fn said(response: &Response) -> Vec<String> {
    response.output("said").iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

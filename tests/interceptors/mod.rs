//! Components that wrap a tenant's models.

mod availability;
mod chain;
mod examples;
mod faults;
mod hooks;
mod location;
mod parts;
mod rejections;
mod swap;
mod tenants;

use serde_json::{Value, json};

use crate::harness::{Models, Response, Server, scripted, scripted_interceptor};

/// The name of an interceptor in the index.
fn indexed(name: &str) -> String {
    format!("interceptors/{name}")
}

/// Writes an interceptor with this name and script, as a bare component.
fn add_interceptor(models: &Models, name: &str, script: &str) {
    models.bare(&indexed(name), scripted_interceptor(&format!("name={name};{script}")));
}

/// Starts a server with a scripted model and these interceptors, all of which serve.
fn with_interceptors(names: &[&str]) -> Server {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted("version=1"));
        names.iter().for_each(|name| add_interceptor(models, name, ""));
    })
    .start();
    server.until_ready("scripted", 1);
    server
}

/// Sends a request to the scripted model with parameters for the interceptors.
fn ask(server: &Server, parameters: &Value) -> Response {
    server.infer("scripted", &json!({ "inputs": [], "parameters": parameters }))
}

/// Returns a parameter of a response as text; empty if it is missing.
#[track_caller]
fn parameter(response: &Response, name: &str) -> String {
    response.ok().json()["parameters"][name].as_str().unwrap_or_default().to_owned()
}

/// Returns the names of the interceptors that handled the request and the response, in order.
#[track_caller]
fn trail(response: &Response) -> String {
    parameter(response, "trail")
}

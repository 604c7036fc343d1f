//! Outgoing requests of models: those to the origins in `model.toml`, within limits, and no others.

mod grants;
mod limits;
mod origins;
pub(crate) mod tls;
pub(crate) mod upstream;

use std::net::SocketAddr;

use serde_json::{Value, json};

use crate::harness::{Response, Server, guest};
use upstream::Upstream;

/// The guest's report of one request.
#[derive(Debug)]
struct Outcome {
    /// The status, or 0 if there was no response.
    status: i64,
    /// The body of the response, or the error.
    text: String,
    /// The length of the body in bytes.
    length: i64,
}

/// Starts a server whose model `http-caller` may call these origins.
fn caller(origins: &[String], more: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings("http-caller", &format!("{more}\n[capabilities]\nhttp = {origins:?}"));
        models.version("http-caller", 1, guest("http-caller"));
    });
    let server = server.start();
    server.until_ready("http-caller", 1);
    server
}

fn http(address: SocketAddr) -> String {
    format!("http://{address}")
}

/// Has the model send these requests, written `METHOD SCHEME AUTHORITY PATH`.
fn send(server: &Server, asks: &[String], parameters: Value) -> Response {
    let asks = json!({ "name": "asks", "datatype": "BYTES", "shape": [asks.len()], "data": asks });
    server.infer("http-caller", &json!({ "inputs": [asks], "parameters": parameters }))
}

#[track_caller]
fn outcomes(response: &Response) -> Vec<Outcome> {
    let columns = response
        .output("status")
        .into_iter()
        .zip(response.output("text"))
        .zip(response.output("length"));
    let outcome = |((status, text), length): ((Value, Value), Value)| Outcome {
        status: status.as_i64().unwrap(),
        text: text.as_str().unwrap().to_owned(),
        length: length.as_i64().unwrap(),
    };
    columns.map(outcome).collect()
}

/// Has the model send one request.
#[track_caller]
fn ask(server: &Server, ask: String, parameters: Value) -> Outcome {
    outcomes(&send(server, &[ask], parameters)).remove(0)
}

#[track_caller]
fn get(server: &Server, address: SocketAddr, path: &str) -> Outcome {
    ask(server, format!("GET http {address} {path}"), json!({}))
}

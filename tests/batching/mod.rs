//! Requests that are grouped into one call: grouping, waiting, and failures of single items.
//!
//! A test that needs requests to wait uses one instance and a request that holds it for as long as
//! the test wants.

mod failures;
mod grouping;
mod under_load;
mod waiting;

use serde_json::{Value, json};

use crate::harness::{Pending, Response, Server, guest, until};

/// The two guests, one for each of the two forms of a batch.
const JOINED: &str = "batcher";
const SIDE_BY_SIDE: &str = "side-by-side";
const BOTH: [&str; 2] = [JOINED, SIDE_BY_SIDE];

const PATIENT: &str = "[limits]\ncpu_time = '10m'\ndeadline = '10m'\n";

/// Starts a server with one of the guests as the model `model`, under these settings.
fn serving(name: &str, model_toml: &str) -> Server {
    serving_with(name, model_toml, "")
}

/// Like `serving`, with keys of `wardian.toml`.
fn serving_with(name: &str, model_toml: &str, config: &str) -> Server {
    let setup = Server::with_models(|models| {
        models.settings("model", model_toml);
        models.version("model", 1, guest(name));
    });
    let server = setup.config(config).start();
    server.until_ready("model", 1);
    server
}

/// Starts a server with one instance, and a request that holds it until it is released.
fn held_up(name: &str, model_toml: &str) -> (Server, Pending) {
    held_up_with(name, model_toml, "")
}

/// Like `is_blocked`, with keys of `wardian.toml`.
fn held_up_with(name: &str, model_toml: &str, config: &str) -> (Server, Pending) {
    let server = serving_with(name, &format!("{model_toml}\n[instances]\nmax = 1\n"), config);
    let holder = hold(&server);
    (server, holder)
}

fn hold(server: &Server) -> Pending {
    let holder = begin(server, "sleep:600000");
    server.until_busy("model", 1);
    holder
}

fn body(word: &str) -> Value {
    json!({ "inputs": [{ "name": "word", "datatype": "BYTES", "shape": [1], "data": [word] }] })
}

fn with_parameter(word: &str, name: &str, value: Value) -> Value {
    let mut body = body(word);
    body["parameters"] = json!({ name: value });
    body
}

fn begin_with(server: &Server, body: &Value) -> Pending {
    server.call("POST", "/v2/models/model/infer").json(body).begin()
}

fn begin(server: &Server, word: &str) -> Pending {
    begin_with(server, &body(word))
}

/// Begins a request with a deadline in milliseconds.
fn within(server: &Server, milliseconds: &str, word: &str) -> Pending {
    let call =
        server.call("POST", "/v2/models/model/infer").header("wardian-deadline-ms", milliseconds);
    call.json(&body(word)).begin()
}

/// Begins a request and waits until it is queued behind `behind` others.
fn line_up(server: &Server, behind: u64, body: &Value) -> Pending {
    let pending = begin_with(server, body);
    server.tenant("default").until_holds("queue", behind + 1);
    pending
}

/// Begins requests with these words, in this order, and waits until all of them are queued.
fn line_up_all<const N: usize>(server: &Server, words: [&str; N]) -> [Pending; N] {
    let mut behind = 0..;
    words.map(|word| line_up(server, behind.next().unwrap(), &body(word)))
}

/// Returns the word of a successful response, and the number of requests in its call.
#[track_caller]
fn said(response: &Response) -> (String, i64) {
    (response.output("word")[0].as_str().unwrap().to_owned(), response.number("batch"))
}

/// Returns the numbers of requests, of calls, and of failed calls.
fn counted(server: &Server) -> (f64, f64, f64) {
    let of = |name: &str| server.metric(&format!("wardian_{name}{{")).unwrap_or(0.0);
    (of("batch_size_sum"), of("batch_size_count"), of("batch_failures_total"))
}

/// Waits until the queue is empty.
fn until_none_waits(server: &Server) {
    server.tenant("default").until_holds("queue", 0);
}

/// Waits until `count` requests have failed.
fn until_failed(server: &Server, count: f64) {
    until(&format!("that {count} requests have failed"), || {
        server.metric("wardian_request_failures_total{").unwrap_or(0.0) == count
    });
}

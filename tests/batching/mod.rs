//! Requests that are grouped into one call: who goes with whom, who waits, and who fails alone.
//!
//! A test that needs requests to wait has one instance, and a request that keeps it for as long as
//! the test wants.

mod failing;
mod grouping;
mod serving;
mod waiting;

use serde_json::{Value, json};

use crate::harness::{Pending, Response, Server, guest, until};

/// The two guests, and with it the two forms.
const JOINED: &str = "batcher";
const SIDE_BY_SIDE: &str = "side-by-side";
const BOTH: [&str; 2] = [JOINED, SIDE_BY_SIDE];

const PATIENT: &str = "[limits]\ncpu_time = '10m'\ndeadline = '10m'\n";

/// A server with one of the guests as the model `model`, under these settings.
fn serving(name: &str, model_toml: &str) -> Server {
    serving_with(name, model_toml, "")
}

/// The same with keys of `wardian.toml`.
fn serving_with(name: &str, model_toml: &str, config: &str) -> Server {
    let setup = Server::with_models(|models| {
        models.settings("model", model_toml);
        models.version("model", 1, guest(name));
    });
    let server = setup.config(config).start();
    server.until_ready("model", 1);
    server
}

/// A server with one instance, and a request that keeps it until it is let go.
fn held_up(name: &str, model_toml: &str) -> (Server, Pending) {
    held_up_with(name, model_toml, "")
}

/// The same with keys of `wardian.toml`.
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

/// Begins a request that has so many milliseconds.
fn within(server: &Server, milliseconds: &str, word: &str) -> Pending {
    let call =
        server.call("POST", "/v2/models/model/infer").header("wardian-deadline-ms", milliseconds);
    call.json(&body(word)).begin()
}

/// Begins a request that is known to wait behind so many others.
fn line_up(server: &Server, behind: u64, body: &Value) -> Pending {
    let pending = begin_with(server, body);
    server.tenant("default").until_holds("queue", behind + 1);
    pending
}

/// Begins requests with these words, in this order, and waits until all of them wait.
fn line_up_all<const N: usize>(server: &Server, words: [&str; N]) -> [Pending; N] {
    let mut behind = 0..;
    words.map(|word| line_up(server, behind.next().unwrap(), &body(word)))
}

/// The word of an answer, which must be well, and how many came with it.
#[track_caller]
fn said(response: &Response) -> (String, i64) {
    (response.output("word")[0].as_str().unwrap().to_owned(), response.number("batch"))
}

/// What was asked, in how many calls, and how many of those failed.
fn counted(server: &Server) -> (f64, f64, f64) {
    let of = |name: &str| server.metric(&format!("wardian_{name}{{")).unwrap_or(0.0);
    (of("batch_size_sum"), of("batch_size_count"), of("batch_failures_total"))
}

/// Waits until nobody waits.
fn until_none_waits(server: &Server) {
    server.tenant("default").until_holds("queue", 0);
}

/// Waits until so many requests have failed.
fn until_failed(server: &Server, count: f64) {
    until(&format!("that {count} requests have failed"), || {
        server.metric("wardian_request_failures_total{").unwrap_or(0.0) == count
    });
}

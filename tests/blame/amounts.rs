//! Limits that a call reaches because of the amounts in its request.

use serde_json::json;

use super::{FAULTS, MANY, has_never_tripped, one};
use crate::harness::Server;

/// The scripted model's behaviour, its limits, and the expected status and error code.
const AMOUNTS: [(&str, &str, u16, &str); 3] = [
    ("eat", "memory = '48MiB'\ncpu_time = '10m'", 500, "model_out_of_memory"),
    ("spin", "cpu_time = '100ms'", 504, "cpu_time_exceeded"),
    ("huge-output", "response = '1MiB'\ncpu_time = '10m'", 500, "model_bad_output"),
];

fn serve(limits: &str) -> Server {
    one("scripted", &format!("[limits]\ndeadline = '10m'\n{limits}\n"))
}

fn ask(server: &Server, word: &str, number: usize, (status, code): (u16, &str)) {
    let body = json!({ "inputs": [], "parameters": { "behave": word, "number": number } });
    server.infer("model", &body).refused(status, code);
}

#[test]
fn a_repeated_request_counts_once() {
    for (word, limits, status, code) in AMOUNTS {
        let server = serve(limits);
        (0..MANY).for_each(|_| ask(&server, word, 0, (status, code)));
        has_never_tripped(&server);
        server.behave("model", "ok").ok();
    }
}

#[test]
fn a_model_that_always_exceeds_limits_is_disabled() {
    for (word, limits, status, code) in AMOUNTS {
        let server = serve(limits);
        (0..FAULTS).for_each(|number| ask(&server, word, number, (status, code)));
        server.behave("model", "ok").refused(503, "model_suspended");
    }
}

#[test]
fn an_oversized_request_does_not_reach_the_model() {
    let server = one("scripted", "[limits]\nrequest = '1KiB'\n");
    for _ in 0..MANY {
        let text = json!({ "name": "text", "datatype": "BYTES", "shape": [1], "data": ["x".repeat(2000)] });
        server.infer("model", &json!({ "inputs": [text] })).refused(413, "request_too_large");
    }
    has_never_tripped(&server);
}

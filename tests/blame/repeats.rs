//! Repeated requests, and sessions.

use serde_json::{Value, json};

use super::{FAULTS, MANY, has_never_tripped, one};
use crate::harness::{Response, Server};

#[test]
fn repeats_of_one_request_count_once() {
    let server = one("scripted", "");
    for _ in 0..MANY {
        let call =
            server.call("POST", "/v2/models/model/infer").header("x-request-id", "again-and-again");
        let body = json!({ "inputs": [], "parameters": { "behave": "trap" } });
        call.json(&body).send().refused(500, "model_trapped");
    }
    has_never_tripped(&server);
}

fn ask(server: &Server, session: &Value, start: bool, orders: &str) -> Response {
    let parameters = json!({ "sequence_id": session, "sequence_start": start, "do": orders });
    server.infer("model", &json!({ "inputs": [], "parameters": parameters }))
}

#[test]
fn a_session_that_always_fails_counts_once() {
    let server = one("session-words", "");
    ask(&server, &json!("broken"), true, "say a").ok();
    for _ in 0..MANY {
        ask(&server, &json!("broken"), false, "trap").refused(500, "model_trapped");
    }
    has_never_tripped(&server);
    for number in 1..FAULTS {
        ask(&server, &json!(number), true, "trap").refused(500, "model_trapped");
    }
    ask(&server, &json!("another"), true, "say a").refused(503, "model_suspended");
}

#[test]
fn a_missing_session_is_the_callers_mistake() {
    let server = one("session-words", "");
    for _ in 0..MANY {
        ask(&server, &json!("nobody"), false, "say a").refused(400, "invalid_input");
        ask(&server, &json!("x".repeat(200)), true, "say a").refused(400, "invalid_input");
        ask(&server, &json!("full"), true, "fill 2000000").refused(500, "model_failed");
    }
    has_never_tripped(&server);
}

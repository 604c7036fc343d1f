//! Invalid streaming requests, and requests without permission.

use serde_json::json;

use super::server;
use crate::harness::{Response, Server};

const VERBS: [&str; 2] = ["generate", "generate_stream"];

fn ask(server: &Server, model: &str, verb: &str, body: &[u8]) -> Response {
    server.call("POST", &format!("/v2/models/{model}/{verb}")).body(body).send()
}

#[test]
fn invalid_requests_are_refused_before_the_call() {
    let server = server("");
    for verb in VERBS {
        for (body, says) in [
            (&b""[..], "expected an object"),
            (b"[]", "expected an object"),
            (b"{\"parts\": }", "not JSON"),
            (b"\xff", "not UTF-8"),
            (b"{\"text_input\": 7}", "input 'text_input'"),
            (b"{\"text_input\": [[\"a\"]]}", "nested"),
            (b"{\"text_input\": \"a\", \"text_input\": \"a\"}", "given twice"),
            (b"{\"text_input\": \"a\"} {}", "after the end"),
            (b"{\"inputs\": []}", "inputs are 'text_input'"),
            (b"{\"parameters\": 7}", "expected an object"),
            (b"{\"id\": {}}", "id"),
            (b"{\"timeout\": \"soon\"}", "timeout"),
            (b"{\"sequence_id\": -1}", "sequence_id"),
        ] {
            let answer = ask(&server, "streamer", verb, body);
            assert!(answer.refused(400, "invalid_input").text().contains(says), "{verb}: {answer}");
            assert!(answer.text().contains("model 'streamer'"), "{answer}");
        }
    }
    assert_eq!(super::metric(&server, "stream_duration_seconds_count"), 0.0);
}

#[test]
fn unknown_models_are_not_found() {
    let server = server("");
    for verb in VERBS {
        ask(&server, "nobody", verb, b"{}").refused(404, "model_not_found");
        ask(&server, "streamer/versions/9", verb, b"{}").refused(404, "model_not_found");
        ask(&server, "streamer/versions/x", verb, b"{}").refused(404, "model_not_found");
        server.get(&format!("/v2/models/streamer/{verb}")).refused(405, "method_not_allowed");
    }
    server.unload("streamer").ok();
    for verb in VERBS {
        ask(&server, "streamer", verb, b"{}").refused(503, "model_not_ready");
    }
}

#[test]
fn bodies_are_limited_and_may_be_compressed() {
    let server = server("[limits]\nrequest = '1KiB'");
    let long = json!({ "text_input": "x".repeat(2000) }).to_string();
    for verb in VERBS {
        ask(&server, "streamer", verb, long.as_bytes()).refused(413, "request_too_large");
        let call = || {
            server
                .call("POST", &format!("/v2/models/streamer/{verb}"))
                .header("content-encoding", "gzip")
        };
        call().body("{}").send().refused(400, "invalid_input");
    }
}

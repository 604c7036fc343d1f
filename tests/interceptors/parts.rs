//! Streams: the interceptors handle each response part.

use serde_json::{Value, json};

use super::add_interceptor;
use crate::harness::{Pending, Response, Server, guest_folder};

/// Starts a server with a streaming model behind two interceptors, of a tenant that may have one
/// instance.
fn chat() -> Server {
    let setup = Server::with_models(|models| {
        models.copy_folder(&guest_folder("chat"), "chat/1");
        ["a", "b"].iter().for_each(|name| add_interceptor(models, name, ""));
    });
    let server = setup.config("[tenants.default.quota]\ninstances = 1\n").start();
    server.until_ready("chat", 1);
    server
}

fn begin(server: &Server, path: &str, parameters: &Value) -> Pending {
    let body = json!({ "text_input": "The ", "max_tokens": 12, "temperature": 0, "parameters": parameters });
    server.call("POST", &format!("/v2/models/chat/{path}")).json(&body).begin()
}

fn generate(server: &Server, parameters: &Value) -> Response {
    begin(server, "generate", parameters).answer()
}

#[test]
fn every_part_passes_the_chain() {
    let server = chat();
    let whole = generate(&server, &json!({})).ok().json();
    assert!(whole["text_output"].as_str().is_some_and(|text| !text.is_empty()), "{whole}");
    let trail = whole["trail"].as_str().unwrap_or_default();
    assert!(trail.starts_with("a b b a"), "{whole}");
    let visits =
        server.metric("wardian_requests_total{tenant=\"default\",model=\"interceptors/a\"");
    assert!(visits > Some(2.0), "{visits:?} is no more than the request and one answer");
}

#[test]
fn streams_at_the_quota_do_not_deadlock() {
    let server = chat();
    let streams: Vec<_> = (0..4).map(|_| begin(&server, "generate", &json!({}))).collect();
    for stream in streams {
        stream.answer().ok();
    }
}

#[test]
fn a_refusal_or_a_fault_is_the_answer() {
    let server = chat();
    generate(&server, &json!({ "before": "reject:402:pay first" }))
        .refused(402, "rejected_by_interceptor");
    generate(&server, &json!({ "before": "trap" })).refused(500, "interceptor_failed");
    let late = generate(&server, &json!({ "after": "torn-output" }));
    assert!(late.text().contains("the interceptor 'a' failed"), "{late}");
    generate(&server, &json!({})).ok();
}

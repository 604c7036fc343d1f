//! Faults of guests: the response for the caller, and the details in the log.

use serde_json::json;

use crate::engine::scripted_with;
use crate::harness::{Server, scripted};

fn faulty_scripted() -> Server {
    scripted_with("[limits]\nresponse = '1MiB'")
}

#[test]
fn each_fault_has_its_status() {
    let server = faulty_scripted();
    for (word, code) in [
        ("trap", "model_trapped"),
        ("panic", "model_trapped"),
        ("recurse", "model_trapped"),
        ("exit", "model_trapped"),
        ("exit:3", "model_trapped"),
        ("eat", "model_out_of_memory"),
        ("fail", "model_failed"),
        ("huge-output", "model_bad_output"),
        ("not-utf8", "model_bad_output"),
        ("nan", "model_bad_output"),
        ("bad-shape", "model_bad_output"),
        ("bad-length", "model_bad_output"),
        ("wrong-shape", "model_bad_output"),
        ("wrong-datatype", "model_bad_output"),
        ("wrong-name", "model_bad_output"),
        ("missing-output", "model_bad_output"),
        ("duplicate-output", "model_bad_output"),
    ] {
        let response = server.behave("scripted", word);
        assert_eq!(response.outcome(), (500, code.to_owned()), "{word}: {response}");
        assert_eq!(server.behave("scripted", "ok").number("calls"), 1, "after {word}");
    }
}

#[test]
fn a_rejection_text_reaches_the_caller() {
    let refused = faulty_scripted().behave("scripted", "reject");
    refused.refused(422, "model_rejected_input");
    assert!(refused.text().contains("this input is not to my taste"), "{refused}");
}

#[test]
fn a_panic_text_appears_only_in_the_log() {
    let server = faulty_scripted();
    let sent =
        server.call("POST", "/v2/models/scripted/infer").header("x-request-id", "the-deadly-one");
    let refused = sent.json(&json!({ "inputs": [], "parameters": { "behave": "panic" } })).send();
    refused.refused(500, "model_trapped");
    let shown = format!("{refused:?} {refused}");
    for secret in ["secret-of-the-guest", "behaviour.rs", "wasm"] {
        assert!(!shown.contains(secret), "'{secret}' in {shown}");
    }
    server.until_logged("secret-of-the-guest");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("a request failed")).unwrap();
    assert!(line.contains("the-deadly-one") && line.contains("secret-of-the-guest"), "{line}");
    let failed = server.behave("scripted", "fail");
    assert!(!failed.text().contains("the weights are corrupt"), "{failed}");
    server.until_logged("the weights are corrupt");
}

#[test]
fn responses_have_no_host_backtrace() {
    let golden = r#"{"cases": [{"request": {"inputs": []}, "response": {"outputs": [
        {"name": "version", "datatype": "INT64", "shape": [1], "data": [1]}]}}]}"#;
    let setup = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.version("trapping", 1, scripted("version=1;infer=trap"));
        models.put("trapping/1/golden.json", golden);
    });
    let server = setup.environment("RUST_BACKTRACE", "1").start();
    server.until_ready("scripted", 1);
    let (trapped, reason) =
        (server.behave("scripted", "trap").text(), server.until_unavailable("trapping", 1));
    for told in [trapped, reason] {
        let frames = ["Stack backtrace", "tokio::", "std::backtrace", "wasmtime::"];
        assert!(!frames.iter().any(|frame| told.contains(frame)), "{told}");
    }
}

#[test]
fn values_json_cannot_hold_are_available_as_binary() {
    let server = faulty_scripted();
    for (word, output, bytes) in [("nan", "sum", 8), ("not-utf8", "text", 6)] {
        let wanted = json!([{ "name": output, "parameters": { "binary_data": true } }]);
        let body = json!({ "inputs": [], "outputs": wanted, "parameters": { "behave": word } });
        let response = server.infer("scripted", &body);
        response.ok();
        let json_length: usize =
            response.header("inference-header-content-length").unwrap().parse().unwrap();
        assert_eq!(response.body.len() - json_length, bytes, "{word}");
    }
}

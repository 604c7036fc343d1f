//! Faults of interceptors: the call fails, and no other call is affected.

use serde_json::{Value, json};

use super::{add_interceptor, ask, indexed, parameter, trail};
use crate::harness::{Server, scripted, scripted_interceptor};

const LIMITS: &str =
    "[limits]\nmemory = '32MiB'\ncpu_time = '200ms'\ndeadline = '3s'\nresponse = '1MiB'\n";

/// Starts a server with a scripted model behind an interceptor with tight limits that is taken out
/// of service after this many faults; 0 for never.
fn narrow(faults: u32) -> Server {
    let server = Server::with_models(|models| {
        // The interceptor's limits are reached first, even on a busy machine.
        models.settings("scripted", "[limits]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=1"));
        models.settings(
            "interceptors/narrow",
            &format!("{LIMITS}[breaker]\nfaults = {faults}\npause = '1h'"),
        );
        models.version("interceptors/narrow", 1, scripted_interceptor("name=narrow"));
        add_interceptor(models, "other", "");
    })
    .start();
    server.until_ready("scripted", 1);
    server
}

#[test]
fn every_interceptor_fault_fails_the_call() {
    let server = narrow(0);
    let everywhere = ["trap", "spin", "eat", "sleep:600000"];
    let before = everywhere
        .iter()
        .chain(&["unknown-input", "torn-input", "huge"])
        .map(|word| ("before", *word));
    let after = everywhere
        .iter()
        .chain(&["unknown-output", "torn-output", "no-outputs"])
        .map(|word| ("after", *word));
    for (when, word) in before.chain(after) {
        let answer = ask(&server, &json!({ when: word }));
        answer.refused(500, "interceptor_failed");
        let text = answer.json()["error"].as_str().unwrap().to_owned();
        assert!(
            text.ends_with("the interceptor 'narrow' failed; its log has the details"),
            "{when} {word}: {text}"
        );
        assert_eq!(
            trail(&ask(&server, &json!({}))),
            "narrow other other narrow",
            "after {when} {word}"
        );
    }
    let logged = server.get("/v2/logs?model=interceptors%2Fnarrow").ok().text();
    for words in ["unreachable", "unknown output 'unknown'", "it took longer than 3s"] {
        assert!(logged.contains(words), "'{words}' is not in {logged}");
    }
}

#[test]
fn a_callers_own_deadline_is_no_fault() {
    let server = narrow(1);
    for (when, word) in [("before", "sleep:600000"), ("after", "sleep:600000")] {
        let call =
            server.call("POST", "/v2/models/scripted/infer").header("wardian-deadline-ms", "100");
        let body = json!({ "inputs": [], "parameters": { when: word } });
        call.json(&body).send().refused(504, "deadline_exceeded");
    }
    ask(&server, &json!({})).ok();
}

#[test]
fn a_failing_interceptor_is_disabled_alone() {
    let server = narrow(3);
    for _ in 0..3 {
        ask(&server, &json!({ "before": "trap" })).refused(500, "interceptor_failed");
    }
    let refused = ask(&server, &json!({}));
    refused.refused(503, "model_not_ready");
    assert!(refused.text().contains("the interceptor 'narrow' keeps failing"), "{refused}");
    assert_eq!(server.config_of("scripted")["wardian"]["suspended"], Value::Bool(false));
    // A load command makes it serve again.
    server.load("interceptors%2Fnarrow").ok();
    assert_eq!(parameter(&ask(&server, &json!({})), "trail"), "narrow other other narrow");
}

#[test]
fn a_replaced_interceptor_starts_without_faults() {
    let server = narrow(1);
    ask(&server, &json!({ "before": "trap" })).refused(500, "interceptor_failed");
    ask(&server, &json!({})).refused(503, "model_not_ready");
    server.models().version(&indexed("narrow"), 2, scripted_interceptor("name=better"));
    server.until_ready(&indexed("narrow"), 2);
    crate::harness::until("that calls pass", || ask(&server, &json!({})).status == 200);
    assert_eq!(trail(&ask(&server, &json!({}))), "better other other better");
}

//! Callers with API keys of their own.

use serde_json::json;
use wardian::model::Digest;

use super::{FAULTS, MANY, two_scripted_models};
use crate::harness::{Server, Tenant};

/// Starts a server with two versions of a scripted model, and a tenant with these keys.
fn with_keys(keys: &[(&str, &str)]) -> Server {
    let key = |(text, scopes): &(&str, &str)| {
        format!(
            "{{ id = '{text}', sha256 = '{}', scopes = {scopes} }}",
            Digest::sha256(text.as_bytes())
        )
    };
    let keys: Vec<_> = keys.iter().map(key).collect();
    let setup = two_scripted_models("")
        .config(&format!("[tenants.default]\nkeys = [{}]\n", keys.join(", ")));
    let server = setup.start();
    server.holder("operator").until_ready("model", 2);
    server
}

const OPERATOR: (&str, &str) = ("operator", "['manage']");

fn fail(caller: Tenant<'_>) {
    for _ in 0..FAULTS {
        caller.behave("model", "trap").refused(500, "model_trapped");
    }
}

#[test]
fn a_caller_that_always_fails_is_refused_alone() {
    let server = with_keys(&[("one", "['infer']"), ("other", "['infer']"), OPERATOR]);
    let (one, other, operator) =
        (server.holder("one"), server.holder("other"), server.holder("operator"));
    fail(one);
    let refused = one.behave("model", "ok");
    refused.refused(503, "model_suspended");
    assert!(refused.header("retry-after").is_some());
    server.until_logged("a caller's requests keep failing; it is refused for now");
    for _ in 0..MANY {
        assert_eq!(other.behave("model", "ok").number("version"), 2);
    }
    other.get("/v2/models/model/ready").ok();
    assert_eq!(operator.entry("model", 2).unwrap().state, "READY");
    // A load command resets the counts of faults.
    operator.call("POST", "/v2/repository/models/model/load").json(&json!({})).send().ok();
    assert_eq!(one.behave("model", "ok").number("version"), 2);
}

#[test]
fn a_model_failing_for_two_callers_is_rolled_back() {
    let server = with_keys(&[("one", "['infer']"), ("other", "['infer']"), OPERATOR]);
    fail(server.holder("one"));
    fail(server.holder("other"));
    server.holder("operator").until_refused("model", 2, "serve: it kept failing");
    server.holder("operator").until_ready("model", 1);
    assert_eq!(server.holder("one").behave("model", "ok").number("version"), 1);
}

#[test]
fn the_only_caller_disables_a_version() {
    let server = with_keys(&[("one", "['infer']"), OPERATOR]);
    fail(server.holder("one"));
    server.holder("operator").until_refused("model", 2, "serve: it kept failing");
}

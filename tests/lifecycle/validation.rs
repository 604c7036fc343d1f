//! Validation: a version goes live after it has passed; until then the last good one serves.

use serde_json::json;

use crate::harness::{Models, Server, guest, scripted, until};

/// The behaviour of a faulty scripted model, and words of its reason.
const BAD: [(&str, &str); 4] = [
    ("load=trap", "load: load did not return"),
    ("load=fail", "load: load failed: the weights are corrupt"),
    ("warm=fail", "warm-up: the model's warm-up failed"),
    ("infer=trap", "warm-up: a request of zeros failed"),
];

fn good(models: &Models) {
    models.version("scripted", 1, scripted("version=1"));
}

/// Returns the number of loads of a version that have begun.
fn attempts(server: &Server, version: u64) -> usize {
    server
        .log()
        .matches(&format!("loading tenant=default model=scripted version={version} "))
        .count()
}

#[test]
fn a_failed_version_leaves_the_serving_one() {
    let server = Server::with_models(good).start();
    server.until_version_of("scripted", 1);
    for (version, (script, reason)) in (2..).zip(BAD) {
        server.models().version("scripted", version, scripted(script));
        server.until_refused("scripted", version, reason);
        assert_eq!(server.version_of("scripted"), 1, "after {script}");
        server.until_logged(&format!(
            "cannot serve tenant=default model=scripted version={version} error={reason}"
        ));
    }
    server.models().version("scripted", 9, scripted("version=9"));
    server.until_version_of("scripted", 9);
}

#[test]
fn failed_content_leaves_the_last_good_content() {
    let server = Server::with_models(good).start();
    server.until_version_of("scripted", 1);
    server.models().version("scripted", 1, scripted("version=2;load=panic"));
    let entry = server.until_entry("scripted", 1, "a reason", |entry| {
        !entry.reason.is_empty() && entry.state == "READY"
    });
    assert!(
        entry.reason.starts_with("serves its last good content; the present one failed: load: "),
        "{entry:?}"
    );
    assert_eq!(server.version_of("scripted"), 1);
}

#[test]
fn golden_requests_must_get_their_answers() {
    let server = Server::with_models(good).start();
    server.until_version_of("scripted", 1);
    server.models().put("scripted/2/golden.json", golden(3).to_string());
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_refused(
        "scripted",
        2,
        "golden: request 1: output 'version' differs from what is expected",
    );
    assert_eq!(server.version_of("scripted"), 1);
    server.models().put("scripted/2/golden.json", golden(2).to_string());
    server.until_version_of("scripted", 2);
}

#[test]
fn unreadable_golden_requests_prevent_publication() {
    let server = Server::with_models(|models| {
        good(models);
        models.put("scripted/1/golden.json", r#"{"cases": [{"request": {"inputs": []}}]}"#);
    })
    .start();
    server.until_refused("scripted", 1, "golden: golden.json: ");
    server.until_refused("scripted", 1, "case 1: it has no 'response'");
}

#[test]
fn a_failed_version_is_retried_on_request() {
    let server = Server::with_models(|models| {
        good(models);
        models.version("scripted", 2, scripted("load=fail"));
    })
    .start();
    server.until_refused("scripted", 2, "the weights are corrupt");
    // A further scan does not load it again.
    server.models().bare("other", guest("minimal"));
    server.until_ready("other", 1);
    server.load("other").ok();
    assert_eq!(attempts(&server, 2), 1);
    // A load command does.
    let refused = server.load("scripted");
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("load failed: the weights are corrupt"), "{refused}");
    assert_eq!(attempts(&server, 2), 2);
    // New content does as well.
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_version_of("scripted", 2);
    assert_eq!(attempts(&server, 2), 3);
}

#[test]
fn a_start_reaches_the_same_state() {
    let server = Server::with_models(|models| {
        good(models);
        models.version("scripted", 2, scripted("version=2"));
        models.version("scripted", 3, scripted("load=trap"));
    })
    .start();
    server.until_tried();
    server.until_version_of("scripted", 2);
    server.until_refused("scripted", 3, "load did not return");
    server.until_refused("scripted", 1, "not wanted");
    assert_eq!(attempts(&server, 1), 0);
}

#[test]
fn a_failed_validation_is_explained() {
    let server =
        Server::with_models(|models| models.bare("scripted", scripted("warm=panic"))).start();
    server.until_tried();
    let refused = server.behave("scripted", "ok");
    refused.refused(503, "model_not_ready");
    assert!(refused.header("retry-after").is_some(), "{refused:?}");
    assert!(refused.text().contains("it failed to load, at stage warm-up"), "{refused}");
    until("the failure in the metrics", || {
        server.metric("wardian_load_failures_total") == Some(1.0)
    });
}

fn golden(version: i64) -> serde_json::Value {
    let outputs =
        json!([{ "name": "version", "datatype": "INT64", "shape": [1], "data": [version] }]);
    json!({ "cases": [{ "request": { "inputs": [] }, "response": { "outputs": outputs } }] })
}

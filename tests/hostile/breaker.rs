//! The circuit breaker: a version that only fails is taken out of service, and returns when it
//! works again.

use crate::harness::{Server, scripted, until};

const FAULTS: usize = 3;

/// Longer than any test.
const LONG: &str = "pause = '1h'";

/// Starts a server with a model that may fail twice in a row, beside one that does not fail.
fn failing(versions: u64, breaker: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings("failing", &format!("[breaker]\nfaults = {FAULTS}\n{breaker}"));
        (1..=versions).for_each(|version| {
            models.version("failing", version, scripted(&format!("version={version}")))
        });
        models.bare("other", scripted("version=7"));
    })
    .start();
    server.until_ready("failing", versions);
    server.until_ready("other", 1);
    server
}

fn fail(server: &Server) {
    for _ in 0..FAULTS {
        server.behave("failing", "trap").refused(500, "model_trapped");
    }
}

#[test]
fn only_the_failing_model_is_disabled() {
    let server = failing(1, LONG);
    fail(&server);
    until("the trip in the metrics", || {
        server.metric("wardian_trips_total{tenant=\"default\"}") == Some(1.0)
    });
    let ready = server.get("/v2/models/failing/ready");
    for refused in [server.behave("failing", "ok"), ready] {
        refused.refused(503, "model_suspended");
        let retry_after: u64 = refused.header("retry-after").unwrap().parse().unwrap();
        assert!((3000..=3600).contains(&retry_after), "{refused:?}");
    }
    assert_eq!(server.version_of("other"), 7);
    server.get("/v2/health/ready").ok();
    // A load command makes it serve again at once.
    server.load("failing").ok();
    assert_eq!(server.version_of("failing"), 1);
    // New content does as well.
    fail(&server);
    server.models().version("failing", 1, scripted("version=2"));
    server.until_version_of("failing", 2);
}

#[test]
fn one_trial_request_follows_the_pause() {
    let server = failing(1, "pause = '100ms'");
    fail(&server);
    until("a trial that fails", || server.behave("failing", "trap").status == 500);
    server.until_version_of("failing", 1);
    server.get("/v2/models/failing/ready").ok();
    // The count starts again at zero.
    for _ in 1..FAULTS {
        server.behave("failing", "trap").refused(500, "model_trapped");
    }
    assert_eq!(server.version_of("failing"), 1);
}

#[test]
fn callers_mistakes_do_not_disable_a_model() {
    let server = failing(1, LONG);
    for word in ["reject", "fail", "trap", "trap", "ok", "trap", "trap", "ok"] {
        server.behave("failing", word);
        let malformed = serde_json::json!({ "inputs": [{ "name": "x", "datatype": "FP32", "shape": [1], "data": [1] }] });
        server.infer("failing", &malformed).refused(400, "invalid_input");
        // A request whose client has disconnected is no fault.
        server.begin_behave("failing", "sleep:600000").hang_up();
    }
    assert_eq!(server.version_of("failing"), 1);
}

#[test]
fn a_failing_version_is_rolled_back() {
    let server = failing(2, LONG);
    assert_eq!(server.version_of("failing"), 2);
    fail(&server);
    server.until_refused("failing", 2, "serve: it kept failing");
    server.until_version_of("failing", 1);
    assert_eq!(server.version_of("other"), 7);
    // A load command brings the newer version back.
    server.load("failing").ok();
    server.until_version_of("failing", 2);
    // A newer version replaces both.
    fail(&server);
    server.until_version_of("failing", 1);
    server.models().version("failing", 3, scripted("version=3"));
    server.until_version_of("failing", 3);
}

#[test]
fn without_rollback_a_failing_version_stays() {
    let server = failing(2, &format!("{LONG}\nrollback = false"));
    fail(&server);
    server.behave("failing", "ok").refused(503, "model_suspended");
    assert_eq!(server.entry("failing", 2).unwrap().state, "READY");
}

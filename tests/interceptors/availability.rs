//! Interceptors that are added, removed or cannot serve: no call and no load bypasses one that is
//! there.

use serde_json::json;

use super::{add_interceptor, ask, indexed, trail, with_interceptors};
use crate::harness::{Server, scripted, until};

const BROKEN: &[u8] = b"\0asm\x0d\0\x01\0";

#[test]
fn interceptors_are_added_and_removed_at_run_time() {
    let server = with_interceptors(&[]);
    assert_eq!(trail(&ask(&server, &json!({}))), "");
    add_interceptor(server.models(), "b", "");
    // Until the new one serves, the chain is unchanged.
    until("the first", || trail(&ask(&server, &json!({}))) == "b b");
    add_interceptor(server.models(), "a", "");
    until("the second", || trail(&ask(&server, &json!({}))) == "a b b a");
    server.models().remove("interceptors/b.wasm");
    until("the end of the first", || trail(&ask(&server, &json!({}))) == "a a");
    server.models().remove("interceptors");
    until("the end of all", || trail(&ask(&server, &json!({}))).is_empty());
    server.until_gone(&indexed("a"));
    assert_eq!(
        server
            .metric("wardian_request_failures_total{tenant=\"default\",model=\"scripted\"")
            .unwrap_or(0.0),
        0.0
    );
}

#[test]
fn the_last_good_interceptor_stays() {
    let server = with_interceptors(&["a"]);
    server.models().put("interceptors/a.wasm", BROKEN);
    server.until_refused(&indexed("a"), 2, "does not export");
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
    server.models().put("interceptors/a.wasm", "no component at all");
    until("that it is known", || {
        server.index().iter().any(|entry| entry.reason.contains("not WebAssembly"))
    });
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
}

#[test]
fn a_broken_interceptor_blocks_calls_at_start() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted("version=1"));
        models.put("interceptors/broken.wasm", BROKEN);
    })
    .start();
    server.until_tried();
    let ways = [
        ask(&server, &json!({})),
        server.get("/v2/models/scripted/ready"),
        server.load("scripted"),
    ];
    for refused in ways {
        assert!([503, 422].contains(&refused.status), "{refused}");
        assert!(
            refused.text().contains("the interceptor 'broken' does not serve: it failed to load"),
            "{refused}"
        );
    }
    let ready = server.get("/v2/health/ready").ok().json();
    assert!(ready["shut"].as_str().unwrap().contains("'broken'"), "{ready}");
    let entry = server.entry("scripted", 1).unwrap();
    assert!(entry.state == "UNAVAILABLE" && entry.reason.contains("'broken'"), "{entry:?}");
    server.models().remove("interceptors/broken.wasm");
    server.until_ready("scripted", 1);
    assert_eq!(server.version_of("scripted"), 1);
    assert_eq!(server.get("/v2/health/ready").json(), json!({ "ready": true }));
}

#[test]
fn an_added_broken_interceptor_blocks_calls() {
    let server = with_interceptors(&["a"]);
    server.models().put("interceptors/broken.wasm", BROKEN);
    until("that calls are refused", || ask(&server, &json!({})).status == 503);
    let refused = ask(&server, &json!({}));
    refused.refused(503, "model_not_ready");
    assert!(refused.text().contains("'broken'"), "{refused}");
    server.get("/v2/models/scripted/ready").refused(503, "model_not_ready");
    // No model is loaded without it either.
    server.models().bare("second", scripted("version=2"));
    server.until_refused("second", 1, "the interceptor 'broken' does not serve");
    // Valid content ends the refusals, and no call passes before it serves.
    add_interceptor(server.models(), "broken", "");
    until("that calls pass", || ask(&server, &json!({})).status == 200);
    assert_eq!(trail(&ask(&server, &json!({}))), "a broken broken a");
    server.until_version_of("second", 2);
}

#[test]
fn an_unreadable_folder_is_not_empty() {
    let server = with_interceptors(&["a"]);
    let models = server.models();
    std::fs::rename(models.path("interceptors"), models.path(".aside")).unwrap();
    std::os::unix::fs::symlink("nowhere", models.path("interceptors")).unwrap();
    until("that it is noticed", || {
        server.get("/v2/health/ready").text().contains("interceptors: a link")
    });
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
    models.remove("interceptors");
    std::fs::rename(models.path(".aside"), models.path("interceptors")).unwrap();
    until("that all is well", || server.get("/v2/health/ready").json() == json!({ "ready": true }));
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
}

#[test]
fn a_restart_bypasses_no_interceptor() {
    let server = with_interceptors(&["a", "b"]);
    assert_eq!(trail(&ask(&server, &json!({}))), "a b b a");
    let server = server.stop().start();
    // Early responses may be errors, but never the model's own response without the interceptor.
    until("an answer", || {
        let answer = ask(&server, &json!({}));
        assert!(answer.status != 200 || trail(&answer) == "a b b a", "{answer}");
        answer.status == 200
    });
}

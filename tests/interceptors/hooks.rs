//! Hooks of interceptors when versions are loaded and unloaded, and their objections.

use serde_json::json;

use super::{add_interceptor, ask, indexed, trail, with_interceptors};
use crate::harness::{Server, scripted, until};

/// Waits until the interceptors have logged exactly these hooks, in this order.
fn until_told(server: &Server, expected: &[&str]) {
    let told = || {
        let log = server.log();
        let lines = log
            .lines()
            .filter_map(|line| line.split_once("wardian::guest: ")?.1.split_once(" tenant="));
        let hooks = lines.map(|(words, _)| words.to_owned());
        hooks
            .filter(|words| words.contains("-load ") || words.contains("-unload "))
            .collect::<Vec<_>>()
    };
    until(&format!("{expected:?}"), || told() == expected);
}

#[test]
fn hooks_run_for_every_version() {
    let server = with_interceptors(&["a", "b"]);
    let loaded = [
        "a before-load default/scripted/1",
        "b before-load default/scripted/1",
        "b after-load default/scripted/1",
        "a after-load default/scripted/1",
    ];
    until_told(&server, &loaded);
    server.models().remove("scripted.wasm");
    server.until_gone("scripted");
    let unloaded = [
        "a before-unload default/scripted/1",
        "b before-unload default/scripted/1",
        "b after-unload default/scripted/1",
        "a after-unload default/scripted/1",
    ];
    until_told(&server, &[loaded, unloaded].concat());
}

#[test]
fn unload_hooks_run_at_the_servers_stop() {
    let server = with_interceptors(&["a"]);
    server.terminate();
    assert!(server.until_ended().success());
    server.until_logged("a after-unload default/scripted/1");
}

#[test]
fn an_objection_prevents_a_load() {
    for hook in ["before-load", "after-load"] {
        let server = Server::with_models(|models| {
            models.bare("scripted", scripted("version=1"));
            models.bare("free", scripted("version=2"));
            add_interceptor(models, "a", &format!("only=scripted;{hook}=it has no licence"));
        })
        .start();
        server.until_refused(
            "scripted",
            1,
            "intercept: the interceptor 'a' objects: it has no licence",
        );
        server.until_ready("free", 1);
        server.behave("scripted", "ok").refused(503, "model_not_ready");
        server.get("/v2/health/ready").ok();
        server.models().remove("interceptors/a.wasm");
        server.until_ready("scripted", 1);
        assert_eq!(server.version_of("scripted"), 1);
    }
}

#[test]
fn an_objection_leaves_the_serving_version() {
    let server = with_interceptors(&["a"]);
    add_interceptor(server.models(), "a", "before-load=enough of them");
    server.until_ready(&indexed("a"), 2);
    server.models().bare("scripted", scripted("version=2"));
    server.until_refused("scripted", 2, "enough of them");
    assert_eq!(server.version_of("scripted"), 1);
    assert_eq!(server.load("scripted").outcome(), (422, "load_failed".into()));
    add_interceptor(server.models(), "a", "");
    server.until_version_of("scripted", 2);
}

#[test]
fn a_failing_load_hook_is_an_objection() {
    for word in ["trap", "spin", "eat"] {
        let server = Server::with_models(|models| {
            models.bare("scripted", scripted("version=1"));
            let limits = "[limits]\nmemory = '32MiB'\ncpu_time = '200ms'\n";
            models.settings("interceptors/a", limits);
            models.version(
                "interceptors/a",
                1,
                crate::harness::scripted_interceptor(&format!("before-load={word}")),
            );
        })
        .start();
        server.until_refused("scripted", 1, "the interceptor 'a' failed in before-load");
    }
}

#[test]
fn a_failing_unload_hook_does_not_delay_retirement() {
    let server = with_interceptors(&["a"]);
    add_interceptor(server.models(), "a", "before-unload=trap;after-unload=trap");
    server.until_ready(&indexed("a"), 2);
    server.models().remove("scripted.wasm");
    server.until_gone("scripted");
    server.until_logged("an interceptor failed");
}

#[test]
fn an_upload_with_an_objection_is_refused() {
    let server = with_interceptors(&["a"]);
    add_interceptor(server.models(), "a", "only=new;before-load=not this one");
    server.until_ready(&indexed("a"), 2);
    let refused = server.upload("new", 1, scripted("version=1"));
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("not this one"), "{refused}");
    assert!(!server.models().path("new").exists());
    assert_eq!(server.upload("other", 1, scripted("version=1")).status, 201);
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
}

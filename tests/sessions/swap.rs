//! Sessions belong to a model and not to one of its versions.

use serde_json::json;

use super::{ask, begin, session_words, setup, started, state, words};
use crate::harness::{Server, guest, until};

/// Adds a version, and waits until it is the one that serves.
fn swap(server: &Server, version: u64, component: &str) {
    server.models().version("session-words", version, guest(component));
    server.until_ready("session-words", version);
    until("that it serves alone", || {
        server.get("/v2/models/session-words").json()["versions"] == json!([version.to_string()])
    });
}

#[test]
fn without_migration_state_is_unchanged() {
    let server = started("");
    begin(&server, "s", "say a").ok();
    swap(&server, 2, "session-words");
    assert_eq!(words(&ask(&server, "s", "say b")), "a b");
    assert_eq!(super::sessions(&server)[0]["version"], "2");
}

#[test]
fn session_state_is_migrated_once() {
    let server = started("");
    for (id, word) in [("s", "a"), ("t", "strange"), ("u", "forget"), ("v", "b")] {
        begin(&server, id, &format!("say {word}")).ok();
    }
    begin(&server, "empty", "").ok();
    swap(&server, 2, "session-migration");
    assert_eq!(words(&ask(&server, "s", "say b")), "(from 1: a) b");
    assert_eq!(words(&ask(&server, "s", "say c")), "(from 1: a) b c");
    // State whose migration fails stays as it was, and so does state of a failed call.
    ask(&server, "t", "say b").refused(500, "model_failed");
    assert_eq!(words(&ask(&server, "u", "say b")), "b");
    assert_eq!(ask(&server, "v", "reject").status, 422);
    assert_eq!(state(&server, "empty"), "");
    // An older version that returns finds the state of the newer one.
    server.models().remove("session-words/2");
    until("that the first serves again", || {
        server.get("/v2/models/session-words").json()["versions"] == json!(["1"])
    });
    assert_eq!(state(&server, "t"), "strange");
    assert_eq!(state(&server, "v"), "b");
    assert_eq!(state(&server, "s"), "(from 1: a) b c");
}

#[test]
fn old_tasks_run_in_the_new_version() {
    let server = started("[limits]\ndeadline = \"30s\"\n[deferred]\ndeadline = \"10m\"\n");
    begin(&server, "s", "say a; defer sleep 599999, say b").ok();
    until("that it runs", || super::tasks(&server)[0]["state"] == "running");
    server.models().version("session-words", 2, guest("session-migration"));
    server.until_ready("session-words", 2);
    // The old version still runs its task; later ones run in the new version.
    let id = super::tasks(&server)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.call("DELETE", &format!("/v2/tasks/{id}")).send().status, 200);
    assert_eq!(words(&ask(&server, "s", "say c")), "(from 1: a) b c");
}

#[test]
fn two_serving_versions_share_a_session() {
    let setup = setup("versions = \"all\"\n[limits]\ndeadline = \"30s\"\n");
    setup.models().version("session-words", 2, guest("session-words"));
    let server = setup.start();
    server.until_ready("session-words", 1);
    server.until_ready("session-words", 2);
    begin(&server, "s", "").ok();
    std::thread::scope(|scope| {
        for version in [1, 2] {
            let server = &server;
            scope.spawn(move || {
                for _ in 0..20 {
                    let body = super::request("s", false, &format!("sleep 1; say {version}"));
                    server
                        .post(&format!("/v2/models/session-words/versions/{version}/infer"), &body)
                        .ok();
                }
            });
        }
    });
    assert_eq!(state(&server, "s").split(' ').count(), 40);
}

#[test]
fn a_returning_model_resumes_its_tasks() {
    let server =
        started("[deferred]\npause = \"10ms\"\ntries = 100\n[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "say a; defer sleep 200, say b").ok();
    server.models().remove("session-words");
    until("that it is gone", || server.entry("session-words", 1).is_none());
    session_words(server.models(), "");
    server.until_ready("session-words", 1);
    assert_eq!(state(&server, "s"), "a b");
}

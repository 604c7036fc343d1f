//! State that is kept from one request to the next, and state that is not.

use serde_json::json;

use super::{ask, begin, request, sessions, started, state, words};
use crate::harness::until;

#[test]
fn a_session_starts_keeps_state_and_ends() {
    let server = started("");
    ask(&server, "s", "say a").refused(400, "invalid_input");
    assert!(ask(&server, "s", "").text().contains("set sequence_start"));
    assert_eq!(words(&begin(&server, "s", "say a")), "a");
    assert_eq!(words(&ask(&server, "s", "say b")), "a b");
    assert_eq!(words(&begin(&server, "other", "say c")), "c");
    assert_eq!(words(&ask(&server, "s", "clear")), "");
    assert_eq!(words(&ask(&server, "s", "say d")), "d");
    assert_eq!(words(&begin(&server, "s", "say e")), "e");
    let end = json!({ "inputs": [], "parameters": { "sequence_id": "s", "sequence_end": true, "do": "say f" } });
    assert_eq!(words(&server.infer("session-words", &end)), "e f");
    ask(&server, "s", "").refused(400, "invalid_input");
    assert_eq!(state(&server, "other"), "c");
}

#[test]
fn numeric_and_text_session_names_are_equal() {
    let server = started("");
    let of = |id: serde_json::Value, start| {
        server.infer(
            "session-words",
            &json!({ "inputs": [], "parameters": { "sequence_id": id, "sequence_start": start } }),
        )
    };
    of(json!(7), true).ok();
    of(json!("7"), false).ok();
    assert_eq!(sessions(&server).len(), 1);
    // Without a session the model answers, and cannot keep state.
    of(json!(0), false).ok();
    let keep = json!({ "inputs": [], "parameters": { "do": "say a" } });
    server.infer("session-words", &keep).refused(422, "model_rejected_input");
}

#[test]
fn a_failed_call_keeps_the_old_state() {
    let server =
        started("[limits]\ndeadline = \"1s\"\ncpu_time = \"100ms\"\n[breaker]\nfaults = 0\n");
    begin(&server, "s", "say a").ok();
    for (orders, status) in [
        ("say b; trap", 500),
        ("say b; fail", 500),
        ("say b; reject", 422),
        ("say b; spin", 504),
        ("say b; sleep 60000", 504),
        ("say b; defer say c; trap", 500),
    ] {
        assert_eq!(ask(&server, "s", orders).status, status, "{orders}");
        assert_eq!(state(&server, "s"), "a", "{orders}");
    }
    // This holds for the first request as well, and a session that failed to begin does not exist.
    assert_eq!(begin(&server, "s", "say b; trap").status, 500);
    assert_eq!(state(&server, "s"), "a");
    assert_eq!(begin(&server, "new", "trap").status, 500);
    ask(&server, "new", "").refused(400, "invalid_input");
    assert!(super::tasks(&server).is_empty());
}

#[test]
fn an_unused_session_expires() {
    let server = started("[sessions]\nidle_timeout = \"1s\"\n");
    begin(&server, "s", "say a").ok();
    assert_eq!(sessions(&server).len(), 1);
    until("the end of its time", || sessions(&server).is_empty());
    ask(&server, "s", "").refused(400, "invalid_input");
    begin(&server, "t", "say a").ok();
    // It is removed from the disk without a request.
    until("that nothing is kept", || super::quota(&server, "sessions")["used"] == 0);
    assert!(sessions(&server).is_empty());
}

#[test]
fn sessions_are_listed_in_pages_and_removed() {
    let server = started("");
    for id in ["a", "b", "c", "d/e f"] {
        begin(&server, id, "say word").ok();
    }
    let page = server.get("/v2/models/session-words/sessions?limit=2").ok().json();
    assert_eq!((&page["sessions"][1]["id"], &page["cursor"]), (&json!("b"), &json!("b")));
    assert_eq!(
        (&page["sessions"][0]["size"], &page["sessions"][0]["version"]),
        (&json!(4), &json!("1"))
    );
    let page = server.get("/v2/models/session-words/sessions?limit=9&cursor=b").ok().json();
    assert_eq!((page["sessions"].as_array().unwrap().len(), &page["cursor"]), (2, &json!(null)));
    let delete =
        |id: &str| server.call("DELETE", &format!("/v2/models/session-words/sessions/{id}")).send();
    assert_eq!((delete("a").status, delete("d%2Fe%20f").status), (200, 200));
    delete("a").refused(404, "session_not_found");
    ask(&server, "a", "").refused(400, "invalid_input");
    server.get("/v2/models/nobody/sessions").refused(404, "model_not_found");
    assert_eq!(sessions(&server).len(), 2);
    until("the metric", || {
        server.metric("wardian_sessions{tenant=\"default\",model=\"session-words\"}") == Some(2.0)
    });
}

#[test]
fn a_non_utf8_session_path_is_not_found() {
    let server = started("");
    server.get("/v2/tasks/%ff").refused(404, "not_found");
    server.call("DELETE", "/v2/tasks/%ff").send().refused(404, "not_found");
    server.call("DELETE", "/v2/models/session-words/sessions/%ff").send().refused(404, "not_found");
}

#[test]
fn a_busy_session_does_not_expire() {
    let server = started("[limits]\ndeadline = \"10m\"\n");
    begin(&server, "s", "say a").ok();
    let busy = server
        .call("POST", "/v2/models/session-words/infer")
        .json(&request("s", false, "sleep 600000"))
        .begin();
    until("that it has it", || super::quota(&server, "concurrency")["used"] == 1);
    let delete = || server.call("DELETE", "/v2/models/session-words/sessions/s").send();
    delete().refused(409, "session_in_use");
    assert_eq!(sessions(&server).len(), 1);
    busy.hang_up();
    delete().ok();
}

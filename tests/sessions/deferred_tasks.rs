//! Deferred tasks: when they run, what they see, and how an operator lists and cancels them.

use serde_json::json;

use super::{ask, begin, sessions, started, state, tasks, words};
use crate::harness::until;

#[test]
fn tasks_run_between_response_and_next_request() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    let answer = begin(&server, "s", "say now; defer sleep 300, say later, say last");
    assert_eq!(words(&answer), "now");
    let listed = tasks(&server);
    assert_eq!(listed.len(), 3, "{listed:?}");
    assert_eq!(
        (&listed[0]["name"], &listed[0]["session"], &listed[0]["model"]),
        (&json!("sleep"), &json!("s"), &json!("session-words"))
    );
    // The request waits for the tasks, which hold the session lock until then.
    assert_eq!(state(&server, "s"), "now later last");
    assert!(tasks(&server).is_empty());
    until("that they are counted", || {
        server.metric(
            "wardian_tasks_total{tenant=\"default\",model=\"session-words\",outcome=\"done\"}",
        ) == Some(3.0)
    });
}

#[test]
fn tasks_defer_tasks_and_end_the_session() {
    let server = started("");
    begin(&server, "s", "defer-defer say a, defer-defer say b").ok();
    // A task that defers two, the second of which defers a third, and so on.
    assert_eq!(state(&server, "s"), "a b");
    let end =
        json!({ "sequence_id": "s", "sequence_end": true, "do": "say b; defer sleep 100, say c" });
    server.infer("session-words", &json!({ "inputs": [], "parameters": end })).ok();
    ask(&server, "s", "").refused(400, "invalid_input");
    assert!(sessions(&server).is_empty() && tasks(&server).is_empty());
}

#[test]
fn requests_without_session_can_defer() {
    let server = started("");
    let body = json!({ "inputs": [], "parameters": { "do": "defer sleep 10, sleep 20, reject" } });
    for _ in 0..5 {
        server.infer("session-words", &body).ok();
    }
    let done = "wardian_tasks_total{tenant=\"default\",model=\"session-words\",outcome=\"done\"}";
    until("that they are done", || server.metric(done) == Some(10.0));
}

#[test]
fn tasks_leave_instances_for_requests() {
    let server =
        started("[limits]\ndeadline = \"30s\"\n[instances]\nmax = 4\n[deferred]\nper_call = 100\n");
    for number in 0..20 {
        begin(&server, &format!("s{number}"), "defer-many 20").ok();
    }
    begin(&server, "other", "say a").ok();
    for number in 0..20 {
        let expected: Vec<_> = (0..20).map(|word| word.to_string()).collect();
        assert_eq!(state(&server, &format!("s{number}")), expected.join(" "));
    }
    assert!(tasks(&server).is_empty());
}

#[test]
fn waiting_and_running_tasks_can_be_cancelled() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "say a; defer sleep 50000, say b, say c").ok();
    let running = || tasks(&server).into_iter().find(|task| task["state"] == "running");
    until("that it runs", || running().is_some());
    let ids: Vec<_> =
        tasks(&server).iter().map(|task| task["id"].as_str().unwrap().to_owned()).collect();
    let delete = |id: &str| server.call("DELETE", &format!("/v2/tasks/{id}")).send();
    assert_eq!(delete(&ids[1]).status, 200);
    // The running task continues, and is not started again.
    let one = server.get(&format!("/v2/tasks/{}", ids[0])).ok().json();
    assert_eq!((&one["state"], &one["tries"]), (&json!("running"), &json!(1)));
    assert_eq!(delete(&ids[0]).status, 200);
    assert_eq!(state(&server, "s"), "a c");
    for id in [ids[0].as_str(), "0", "nonsense"] {
        delete(id).refused(404, "task_not_found");
        server.get(&format!("/v2/tasks/{id}")).refused(404, "task_not_found");
    }
    let cancelled =
        "wardian_tasks_total{tenant=\"default\",model=\"session-words\",outcome=\"cancelled\"}";
    assert_eq!(server.metric(cancelled), Some(2.0));
}

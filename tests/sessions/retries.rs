//! Retries: a failed task is tried again, a limited number of times, and later requests of its
//! session wait.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::json;

use super::{SOON, ask, begin, started, state, tasks};
use crate::harness::until;

/// Returns the host's clock plus `time`, in milliseconds.
fn later(time: Duration) -> u128 {
    (SystemTime::now() + time).duration_since(UNIX_EPOCH).unwrap().as_millis()
}

#[test]
fn a_failed_task_is_retried_in_order() {
    let server =
        started("[limits]\ndeadline = \"30s\"\n[deferred]\npause = \"100ms\"\ntries = 20\n");
    begin(
        &server,
        "s",
        &format!("say a; defer not-before {}, say b", later(Duration::from_millis(400))),
    )
    .ok();
    until("that it has failed", || {
        tasks(&server).first().is_some_and(|task| task["tries"].as_u64() > Some(1))
    });
    let listed = tasks(&server);
    assert!(listed[0]["error"].as_str().unwrap().contains("too early"), "{listed:?}");
    assert_eq!((&listed[1]["state"], &listed[1]["tries"]), (&json!("waiting"), &json!(0)));
    assert_eq!(state(&server, "s"), "a late b");
    assert!(
        server.metric(
            "wardian_tasks_total{tenant=\"default\",model=\"session-words\",outcome=\"retried\"}"
        ) >= Some(2.0)
    );
}

#[test]
fn a_failed_task_is_dropped_after_its_tries() {
    let server = started(&format!("{SOON}tries = 3\n[limits]\ndeadline = \"30s\"\n"));
    begin(&server, "s", "say a; defer fail, trap, say b").ok();
    assert_eq!(state(&server, "s"), "a b");
    let listed = tasks(&server);
    assert_eq!(listed.len(), 2, "{listed:?}");
    for (task, error) in listed.iter().zip(["told to fail", "abort"]) {
        assert_eq!(
            (&task["state"], &task["tries"], &task["next_try_ms"]),
            (&json!("failed"), &json!(3), &json!(null))
        );
        assert!(task["error"].as_str().unwrap().contains(error) || error == "abort", "{task}");
    }
    let failed =
        "wardian_tasks_total{tenant=\"default\",model=\"session-words\",outcome=\"failed\"}";
    assert_eq!(server.metric(failed), Some(2.0));
    // Tasks that were given up block nothing, and can be removed.
    assert_eq!(super::quota(&server, "tasks")["used"], 0);
    let id = listed[0]["id"].as_str().unwrap();
    assert_eq!(server.call("DELETE", &format!("/v2/tasks/{id}")).send().status, 200);
    assert_eq!(tasks(&server).len(), 1);
    // Faults of tasks do not take the model out of service.
    ask(&server, "s", "").ok();
}

#[test]
fn a_task_has_limits_of_its_own() {
    let settings = "[limits]\ndeadline = \"30s\"\ncpu_time = \"100ms\"\n\
                    [deferred]\ntries = 1\ndeadline = \"4s\"\ncpu_time = \"100ms\"\n";
    let server = started(settings);
    begin(&server, "s", "defer spin, sleep 60000, say a").ok();
    assert_eq!(state(&server, "s"), "a");
    let errors: Vec<_> =
        tasks(&server).iter().map(|task| task["error"].as_str().unwrap().to_owned()).collect();
    assert!(
        errors.len() == 2 && errors[0].contains("CPU time") && errors[1].contains("deadline"),
        "{errors:?}"
    );
}

#[test]
fn only_the_tasks_own_session_waits() {
    let server = started("[deferred]\npause = \"1h\"\n[limits]\ndeadline = \"300ms\"\n");
    begin(&server, "s", "defer fail").ok();
    until("that it has failed", || tasks(&server)[0]["tries"] == 1);
    ask(&server, "s", "").refused(504, "deadline_exceeded");
    begin(&server, "t", "").ok();
    let id = tasks(&server)[0]["id"].as_str().unwrap().to_owned();
    assert_eq!(server.call("DELETE", &format!("/v2/tasks/{id}")).send().status, 200);
    until("that it is free", || ask(&server, "s", "").status == 200);
}

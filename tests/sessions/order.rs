//! Requests of one session run one after another; requests of other sessions do not wait for them.

use std::thread::scope;

use super::{ask, begin, request, started, state};
use crate::harness::until;

#[test]
fn concurrent_requests_of_a_session_are_serialised() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "").ok();
    scope(|scope| {
        for number in 0..50 {
            let server = &server;
            scope.spawn(move || ask(server, "s", &format!("sleep 1; say {number}")).ok().status);
        }
    });
    let state = state(&server, "s");
    let mut seen: Vec<i64> = state.split(' ').map(|word| word.parse().unwrap()).collect();
    seen.sort_unstable();
    assert_eq!(seen, (0..50).collect::<Vec<_>>(), "{state}");
}

#[test]
fn session_requests_run_in_arrival_order() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "").ok();
    let path = "/v2/models/session-words/infer";
    let first = server.call("POST", path).json(&request("s", false, "sleep 300")).begin();
    let waiting =
        |count: u64| until("so many wait", || super::quota(&server, "queue")["used"] == count);
    until("that the first has it", || super::quota(&server, "concurrency")["used"] == 1);
    let pending: Vec<_> = (0..5_u64)
        .map(|number| {
            let pending = server
                .call("POST", path)
                .json(&request("s", false, &format!("say {number}")))
                .begin();
            waiting(number + 1);
            pending
        })
        .collect();
    first.answer().ok();
    pending.into_iter().for_each(|pending| assert_eq!(pending.answer().status, 200));
    assert_eq!(state(&server, "s"), "0 1 2 3 4");
}

#[test]
fn sessions_do_not_wait_for_each_other() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    for id in ["slow", "quick"] {
        begin(&server, id, "").ok();
    }
    let path = "/v2/models/session-words/infer";
    let slow =
        server.call("POST", path).json(&request("slow", false, "sleep 20000; say late")).begin();
    for _ in 0..10 {
        ask(&server, "quick", "say a").ok();
    }
    slow.hang_up();
    // A client that disconnects releases its session.
    assert_eq!(state(&server, "slow"), "");
}

#[test]
fn waiting_for_a_session_ends_at_the_deadline() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    begin(&server, "s", "").ok();
    let path = "/v2/models/session-words/infer";
    let slow = server.call("POST", path).json(&request("s", false, "sleep 1000; say slow")).begin();
    until("that the first has it", || super::quota(&server, "concurrency")["used"] == 1);
    let hurried = server
        .call("POST", path)
        .header("wardian-deadline-ms", "50")
        .json(&request("s", false, "say a"));
    hurried.send().refused(504, "deadline_exceeded");
    let leaves = server.call("POST", path).json(&request("s", false, "say b")).begin();
    until("that it waits", || super::quota(&server, "queue")["used"] == 1);
    leaves.hang_up();
    until("that it has gone", || super::quota(&server, "queue")["used"] == 0);
    slow.answer().ok();
    assert_eq!(state(&server, "s"), "slow");
}

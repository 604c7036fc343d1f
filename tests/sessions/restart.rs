//! What was kept is there after the server has been stopped, in an orderly way.

use std::time::{Duration, Instant};

use super::{ask, begin, setup, started, state, tasks};
use crate::harness::{Server, until};

fn restarted(server: Server) -> Server {
    let server = server.stop().start();
    server.until_ready("keeper", 1);
    server
}

#[test]
fn sessions_are_there_after_a_restart() {
    let server = started("");
    begin(&server, "s", "say a").ok();
    let server = restarted(server);
    assert_eq!(super::words(&ask(&server, "s", "say b")), "a b");
    assert_eq!(super::quota(&server, "sessions")["used"], 1);
}

#[test]
fn tasks_that_run_are_done_before_the_server_ends() {
    let server = started("");
    begin(&server, "s", "say a; defer sleep 300, say b").ok();
    let setup = server.stop();
    let server = setup.start();
    server.until_ready("keeper", 1);
    assert!(tasks(&server).is_empty());
    assert_eq!(state(&server, "s"), "a b");
}

#[test]
fn tasks_that_have_to_wait_are_done_after_it_has_started_again() {
    let server = started("[deferred]\npause = \"1s\"\ntries = 100\n[limits]\ndeadline = \"30s\"\n");
    let later = std::time::SystemTime::now() + Duration::from_secs(2);
    let later = later.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    begin(&server, "s", &format!("say a; defer not-before {later}, say b")).ok();
    until("that it has failed", || tasks(&server)[0]["tries"] == 1);
    let began = Instant::now();
    let server = restarted(server);
    assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for a pause to be over");
    // Requests that come first come after it all the same.
    assert_eq!(state(&server, "s"), "a late b");
}

#[test]
fn a_second_signal_ends_it_at_once_and_the_task_runs_again() {
    let server = setup("[limits]\ndeadline = \"30s\"\n").start();
    server.until_ready("keeper", 1);
    begin(&server, "s", "say a; defer sleep 2000, say b").ok();
    until("that it runs", || tasks(&server)[0]["state"] == "running");
    server.terminate();
    until("that it drains", || server.log().contains("draining"));
    server.terminate();
    assert!(!server.until_ended().success());
    let server = server.kill().start();
    server.until_ready("keeper", 1);
    assert_eq!(tasks(&server)[0]["session"], "s");
    assert_eq!(state(&server, "s"), "a b");
}

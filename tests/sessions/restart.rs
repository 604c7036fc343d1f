//! State is there after the server has stopped in an orderly way and started again.

use std::time::{Duration, Instant};

use super::{ask, begin, request, setup, started, state, tasks, words};
use crate::harness::{Server, scripted, scripted_interceptor, until};

fn restarted(server: Server) -> Server {
    let server = server.stop().start();
    server.until_ready("session-words", 1);
    server
}

#[test]
fn sessions_survive_a_restart() {
    let server = started("");
    begin(&server, "s", "say a").ok();
    let server = restarted(server);
    assert_eq!(words(&ask(&server, "s", "say b")), "a b");
    assert_eq!(super::quota(&server, "sessions")["used"], 1);
}

#[test]
fn running_tasks_finish_before_the_stop() {
    let server = started("");
    begin(&server, "s", "say a; defer sleep 300, say b").ok();
    let setup = server.stop();
    let server = setup.start();
    server.until_ready("session-words", 1);
    assert!(tasks(&server).is_empty());
    assert_eq!(state(&server, "s"), "a b");
}

#[test]
fn tasks_of_running_requests_finish_before_stop() {
    let server = started("[limits]\ndeadline = \"30s\"\n");
    let orders = request("s", true, "sleep 1500; say a; defer sleep 20, say b");
    let under_way = server.call("POST", "/v2/models/session-words/infer").json(&orders).begin();
    server.until_busy("session-words", 1);
    server.terminate();
    server.until_logged("draining");
    assert_eq!(words(&under_way.answer()), "a");
    assert_eq!(server.until_ended().code(), Some(0));
    assert!(server.log().contains("sleeps for 20 ms"), "{}", server.log());
    let server = server.kill().start();
    server.until_ready("session-words", 1);
    assert_eq!(state(&server, "s"), "a b");
    assert!(!server.log().contains("sleeps for 20 ms"), "{}", server.log());
}

#[test]
fn a_long_task_does_not_prevent_unload_hooks() {
    let setup = setup("[limits]\ndeadline = \"30s\"\n").argument("--drain-timeout").argument("3s");
    let setup = setup.config("[tenants.default]\n[tenants.other]\nrepository = 'other'\n");
    setup.models().put("session-words/config.toml", "nap_ms = '600000'");
    setup.models().bare("scripted", scripted("unload=log"));
    setup.repository("other").bare("scripted", scripted("unload=log"));
    setup.repository("other").bare(
        "interceptors/scripted-interceptor",
        scripted_interceptor("name=scripted-interceptor"),
    );
    let server = setup.start();
    server.until_ready("session-words", 1);
    server.until_ready("scripted", 1);
    server.tenant("other").until_ready("scripted", 1);
    begin(&server, "s", "say a; defer nap, say b").ok();
    until("that it runs", || tasks(&server)[0]["state"] == "running");
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
    let log = server.log();
    assert_eq!(log.matches("the script says to log").count(), 2, "{log}");
    for said in [
        "scripted-interceptor after-unload other/scripted/1",
        "unloaded model=default/session-words version 1",
        "drained",
    ] {
        assert!(log.contains(said), "'{said}' is missing in {log}");
    }
    let setup = server.kill();
    setup.models().put("session-words/config.toml", "nap_ms = '0'");
    let server = setup.start();
    server.until_ready("session-words", 1);
    assert_eq!(state(&server, "s"), "a b");
    assert!(tasks(&server).is_empty());
}

#[test]
fn waiting_tasks_run_after_a_restart() {
    let server = started("[deferred]\npause = \"1s\"\ntries = 100\n[limits]\ndeadline = \"30s\"\n");
    let later = std::time::SystemTime::now() + Duration::from_secs(2);
    let later = later.duration_since(std::time::UNIX_EPOCH).unwrap().as_millis();
    begin(&server, "s", &format!("say a; defer not-before {later}, say b")).ok();
    until("that it has failed", || tasks(&server)[0]["tries"] == 1);
    let began = Instant::now();
    let server = restarted(server);
    assert!(began.elapsed() < Duration::from_secs(20), "nobody waits for a pause to be over");
    // A request that arrives first still runs after the stored task.
    assert_eq!(state(&server, "s"), "a late b");
}

#[test]
fn a_second_signal_interrupts_tasks_for_retry() {
    let server = setup("[limits]\ndeadline = \"30s\"\n").start();
    server.until_ready("session-words", 1);
    begin(&server, "s", "say a; defer sleep 2000, say b").ok();
    until("that it runs", || tasks(&server)[0]["state"] == "running");
    server.terminate();
    until("that it drains", || server.log().contains("draining"));
    server.terminate();
    assert!(!server.until_ended().success());
    let server = server.kill().start();
    server.until_ready("session-words", 1);
    assert_eq!(tasks(&server)[0]["session"], "s");
    assert_eq!(state(&server, "s"), "a b");
}

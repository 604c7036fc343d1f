//! Requests that wait for an instance, and clients that stop waiting.

use serde_json::json;

use crate::engine::scripted_with;
use crate::harness::{Response, Server, until};

/// Starts a server with one instance, which a request may hold for as long as a test wants.
fn one_instance(max_queue: u32) -> Server {
    scripted_with(&format!(
        "[instances]\nmax = 1\n[batching]\nmax_queue = {max_queue}\n[limits]\ncpu_time = '10m'\ndeadline = '10m'"
    ))
}

/// Sends a request with a very short deadline.
fn impatiently(server: &Server) -> Response {
    let call = server.call("POST", "/v2/models/scripted/infer").header("wardian-deadline-ms", "50");
    call.json(&json!({ "inputs": [] })).send()
}

#[test]
fn a_full_queue_refuses_with_retry_after() {
    let server = one_instance(0);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    let refused = server.behave("scripted", "ok");
    refused.refused(429, "quota_exceeded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    endless.hang_up();
    until("a free instance", || server.behave("scripted", "ok").status == 200);
}

#[test]
fn queued_requests_are_answered() {
    let server = one_instance(1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    let waiting = [server.begin_behave("scripted", "ok"), server.begin_behave("scripted", "ok")];
    // One request waits, and the queue has no room for the other.
    until("a refusal", || server.metric("wardian_request_failures_total{").unwrap_or(0.0) == 1.0);
    endless.hang_up();
    let mut outcomes = waiting.map(|pending| pending.answer().outcome());
    outcomes.sort();
    assert_eq!(outcomes, [(200, String::new()), (429, "quota_exceeded".to_owned())]);
}

#[test]
fn waiting_counts_against_the_deadline() {
    let server = one_instance(10);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    impatiently(&server).refused(504, "deadline_exceeded");
    endless.hang_up();
}

#[test]
fn a_disconnect_stops_the_guest() {
    let server = one_instance(10);
    for word in ["sleep:600000", "spin", "slow:600000"] {
        let endless = server.begin_behave("scripted", word);
        server.until_busy("scripted", 1);
        endless.hang_up();
        // The only instance must become free for this.
        assert_eq!(server.version_of("scripted"), 1, "after {word}");
        server.until_busy("scripted", 0);
    }
}

#[test]
fn a_disconnected_client_leaves_the_queue() {
    let server = one_instance(1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    let waiting = server.begin_behave("scripted", "log");
    server.tenant("default").until_holds("queue", 1);
    impatiently(&server).refused(429, "quota_exceeded");
    waiting.hang_up();
    server.tenant("default").until_holds("queue", 0);
    impatiently(&server).refused(504, "deadline_exceeded");
    endless.hang_up();
    assert_eq!(server.version_of("scripted"), 1);
    assert!(!server.log().contains("the script says to log"), "{}", server.log());
}

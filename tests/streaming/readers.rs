//! Clients that read slowly, not at all, or disconnect.

use serde_json::json;

use super::{LARGE, endless, metric, server};
use crate::harness::{Server, until};

fn until_waiting(server: &Server, guests: f64) {
    until(&format!("that {guests} guests wait for their reader"), || {
        metric(server, "streams_waiting") == guests
    });
}

#[test]
fn a_slow_reader_suspends_the_guest() {
    let server = server(LARGE);
    let parts = 100;
    let mut events = server.stream("streamer", &json!({ "parts": parts, "size": 1 << 20 }));
    until_waiting(&server, 1.0);
    let sent = metric(&server, "stream_parts_total");
    assert!(
        sent < f64::from(parts) / 2.0,
        "{sent} parts of a megabyte lie between guest and client"
    );
    // Meanwhile other instances of the same model serve others.
    for _ in 0..50 {
        assert_eq!(server.stream("streamer", &json!({})).all().len(), 3);
    }
    assert_eq!(metric(&server, "streams_waiting"), 1.0);
    for index in 0..parts {
        assert!(events.next_text().starts_with(&format!("{index} x")));
    }
    assert_eq!(events.next_event(), None);
    until_waiting(&server, 0.0);
}

#[test]
fn a_disconnect_stops_the_guest() {
    let server = server(&format!("{LARGE}[instances]\nmax = 1"));
    let stubborn = json!({ "parts": i64::MAX, "how": "stubborn" });
    let busy = json!({ "parts": 2, "between_ms": 600_000, "how": "busy" });
    let bodies = [endless(), stubborn, busy, json!({ "then": "spin" }), json!({ "then": "sleep" })];
    for body in bodies {
        let mut events = server.stream("streamer", &body);
        events.next_text();
        drop(events);
        // There is only one instance, so this request waits for it.
        assert_eq!(server.stream("streamer", &json!({})).all().len(), 3, "{body}");
    }
    server.until_busy("streamer", 0);
    until("the end of all streams", || metric(&server, "streams_open") == 0.0);
    assert_eq!(metric(&server, "streams_waiting"), 0.0);
}

#[test]
fn a_disconnect_before_parts_stops_the_guest() {
    let server = server(LARGE);
    for verb in ["generate", "generate_stream"] {
        let call = server.call("POST", &format!("/v2/models/streamer/{verb}"));
        let pending = call.json(&json!({ "parts": 1, "before_ms": 600_000 })).begin();
        server.until_busy("streamer", 1);
        pending.hang_up();
        server.until_busy("streamer", 0);
    }
}

#[test]
fn an_unread_stream_is_cut_after_its_deadline() {
    let server = server("[streaming]\ntotal = '2GiB'\ndeadline = '5s'\ncpu_time = '10m'");
    let events = server.stream("streamer", &endless());
    // Before the deadline all buffers between guest and client are full.
    until_waiting(&server, 1.0);
    // The guest ends with the deadline, and its instance is free at once.
    server.until_busy("streamer", 0);
    // Bytes on their way to the client are freed after the time that a client may take to read
    // them.
    until("the end of the stream", || metric(&server, "streams_open") == 0.0);
    assert!(events.ends_cut());
}

//! Readers of streams.

use serde_json::json;

use super::{FAULTS, MANY, has_never_tripped, one};
use crate::harness::until;

#[test]
fn a_disconnect_is_no_fault() {
    let server = one("streamer", "[streaming]\ndeadline = '10m'\ncpu_time = '10m'\n");
    for then in ["spin", "sleep", ""] {
        for _ in 0..MANY {
            let mut events =
                server.stream("model", &json!({ "parts": 1000, "size": 10_000, "then": then }));
            events.next_text();
            drop(events);
        }
        server.until_busy("model", 0);
    }
    has_never_tripped(&server);
}

#[test]
fn an_unread_stream_is_no_fault() {
    let server = one("streamer", "[streaming]\ndeadline = '500ms'\ntotal = '2GiB'\n");
    let endless = json!({ "parts": i64::MAX, "size": 1 << 20 });
    let open = |count: f64| {
        until("open answers", || server.metric("wardian_streams_open{") == Some(count))
    };
    let slow: Vec<_> = (0..FAULTS).map(|_| server.begin_stream("model", &endless)).collect();
    open(slow.len() as f64);
    // The server cuts their connections some seconds after the deadline.
    open(0.0);
    drop(slow);
    has_never_tripped(&server);
}

#[test]
fn a_stream_over_its_total_is_no_fault() {
    let server = one("streamer", "[streaming]\ntotal = '10KiB'\n");
    for how in ["", "stubborn"] {
        for number in 0..MANY {
            let body = json!({ "parts": 20 + number, "size": 1000, "how": how });
            server.generate("model", &body).refused(500, "response_too_large");
        }
    }
    // The model stays in service even if it traps when `emit` fails.
    for number in 0..MANY {
        let body = json!({ "parts": 20 + number, "size": 1000, "how": "stubborn", "then": "trap" });
        server.generate("model", &body).refused(500, "response_too_large");
    }
    has_never_tripped(&server);
}

#[test]
fn incompatible_parts_leave_no_blame() {
    let server = one("streamer", "");
    for _ in 0..MANY {
        server.generate("model", &json!({ "then": "two" })).refused(500, "model_bad_output");
    }
    has_never_tripped(&server);
}

//! Limits of size and time.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{endless, metric, server};

#[test]
fn silence_is_filled_with_signs_of_life() {
    let server = server("[streaming]\nheartbeat = '20ms'");
    let mut events =
        server.stream("streamer", &json!({ "parts": 2, "before_ms": 100, "between_ms": 100 }));
    // Before the first part, and before the second.
    for text in ["0 ", "1 "] {
        assert_eq!(events.next_block().as_deref(), Some(":\n\n"));
        assert_eq!(events.next_text(), text);
    }
    assert_eq!(events.next_event(), None);
    // Once the head has been sent, an error can only be an event.
    let late = server.stream("streamer", &json!({ "parts": 1, "before_ms": 200, "then": "fail" }));
    assert_eq!(late.all_until_error().1, "model_failed");
}

#[test]
fn the_total_of_all_parts_is_limited() {
    let server = server("[streaming]\ntotal = '10KiB'");
    for how in ["stubborn", ""] {
        let body = json!({ "parts": 20, "size": 1000, "how": how });
        let (events, code) = server.stream("streamer", &body).all_until_error();
        assert_eq!((events.len(), code.as_str()), (9, "response_too_large"), "{how}");
        server.generate("streamer", &body).refused(500, "response_too_large");
    }
    // Empty parts are limited as well.
    let (events, code) = server.stream("streamer", &json!({ "parts": i64::MAX })).all_until_error();
    assert_eq!((events.len() < 200, code.as_str()), (true, "response_too_large"));
    assert_eq!(server.stream("streamer", &json!({ "parts": 9, "size": 1000 })).all().len(), 9);
}

#[test]
fn a_part_is_no_larger_than_a_response() {
    let server = server("[limits]\nresponse = '10KiB'");
    assert_eq!(server.stream("streamer", &json!({ "parts": 5, "size": 9000 })).all().len(), 5);
    let answer = server.begin_stream("streamer", &json!({ "size": 11_000 })).answer();
    answer.refused(500, "model_bad_output");
}

#[test]
fn the_deadline_of_streams_is_their_own() {
    let server =
        server("[limits]\ndeadline = '50ms'\ncpu_time = '50ms'\n[streaming]\ndeadline = '2s'");
    let body = json!({ "parts": 3, "before_ms": 100, "between_ms": 100, "how": "busy" });
    assert_eq!(server.stream("streamer", &body).all().len(), 3);
    let start = Instant::now();
    let (events, code) =
        server.stream("streamer", &json!({ "parts": 1, "then": "sleep" })).all_until_error();
    assert_eq!((events.len(), code.as_str()), (1, "deadline_exceeded"));
    assert!(start.elapsed() >= Duration::from_secs(2), "{:?}", start.elapsed());
}

#[test]
fn a_caller_may_shorten_a_streams_deadline() {
    let server = server("[streaming]\ndeadline = '10m'");
    let call = server
        .call("POST", "/v2/models/streamer/generate_stream")
        .header("wardian-deadline-ms", "300");
    let (_, code) =
        call.json(&json!({ "parts": 1, "then": "sleep" })).begin().events().all_until_error();
    assert_eq!(code, "deadline_exceeded");
    let body = json!({ "parts": 0, "then": "sleep", "parameters": { "timeout": 50_000 } });
    server.begin_stream("streamer", &body).answer().refused(504, "deadline_exceeded");
    server.generate("streamer", &body).refused(504, "deadline_exceeded");
}

#[test]
fn only_computing_counts_as_cpu_time() {
    let server = server("[streaming]\ncpu_time = '100ms'");
    let patient = json!({ "parts": 4, "between_ms": 100 });
    assert_eq!(server.stream("streamer", &patient).all().len(), 4);
    let (events, code) = server.stream("streamer", &json!({ "then": "spin" })).all_until_error();
    assert_eq!((events.len(), code.as_str()), (3, "cpu_time_exceeded"));
}

#[test]
fn a_guest_ignoring_one_limit_meets_another() {
    let server = server("[streaming]\ntotal = '4MiB'\ndeadline = '1s'\ncpu_time = '10m'");
    let mut body = endless();
    body["how"] = json!("stubborn");
    let (events, code) = server.stream("streamer", &body).all_until_error();
    assert_eq!((events.len(), code.as_str()), (3, "deadline_exceeded"));
    server.until_busy("streamer", 0);
    assert_eq!(metric(&server, "stream_parts_total"), 3.0);
}

//! Parts that arrive one by one.

use serde_json::json;

use super::{metric, server};
use crate::harness::until;

#[test]
fn each_part_arrives_before_the_next_is_computed() {
    let server = server("");
    let mut events =
        server.stream("streamer", &json!({ "text_input": "é", "parts": 2, "then": "sleep" }));
    assert_eq!(events.next_text(), "é0 ");
    assert_eq!(events.next_text(), "é1 ");
    // The guest is still running, and will be for ten minutes.
    assert_eq!(server.config_of("streamer")["wardian"]["instances"]["busy"], 1);
    assert_eq!(
        (metric(&server, "streams_open"), metric(&server, "stream_parts_total")),
        (1.0, 2.0)
    );
    drop(events);
    server.until_busy("streamer", 0);
}

#[test]
fn each_event_is_a_flat_object() {
    let server = server("");
    let call = server.call("POST", "/v2/models/streamer/versions/1/generate_stream");
    let call = call.header("accept-encoding", "gzip").header("x-request-id", "mine");
    let mut events = call.json(&json!({ "id": "a", "parts": 1 })).begin().events();
    for (name, value) in [
        ("content-type", "text/event-stream; charset=utf-8"),
        ("cache-control", "no-cache"),
        ("x-accel-buffering", "no"),
        ("x-request-id", "mine"),
    ] {
        assert_eq!(events.header(name), Some(value));
    }
    assert_eq!(events.header("content-encoding"), None);
    let timing = events.header("server-timing").unwrap();
    assert!(
        ["queue;dur=", "instance;dur=", "compute;dur="].iter().all(|part| timing.contains(part)),
        "{timing}"
    );
    let event = "data: {\"model_name\":\"streamer\",\"model_version\":\"1\",\"id\":\"a\",\"last\":true,\
                 \"text_output\":\"0 \",\"index\":0}\n\n";
    assert_eq!(events.next_block().as_deref(), Some(event));
    assert_eq!(events.next_block(), None);
}

#[test]
fn parts_are_ordered_and_counted() {
    let server = server("");
    for body in [json!({ "parts": 1000 }), json!({ "parts": 100, "size": 100_000 })] {
        let indices = server
            .stream("streamer", &body)
            .all()
            .into_iter()
            .map(|event| event["index"].as_i64().unwrap());
        assert!(indices.eq(0..body["parts"].as_i64().unwrap()), "{body}");
    }
    // A stream without parts has one event, which does not count as a part.
    assert_eq!(server.stream("streamer", &json!({ "parts": 0 })).all()[0]["text_output"], "");
    until("the end of all streams", || metric(&server, "streams_open") == 0.0);
    assert_eq!(metric(&server, "stream_parts_total"), 1100.0);
    assert!(metric(&server, "stream_bytes_total") > 10e6);
    assert_eq!(metric(&server, "requests_total"), 3.0);
    assert_eq!(metric(&server, "stream_first_part_seconds_count"), 2.0);
    assert_eq!(metric(&server, "stream_duration_seconds_count"), 3.0);
}

#[test]
fn a_part_may_hold_any_outputs() {
    let server = server("");
    let mut events = server.stream("streamer", &json!({ "parts": 0, "then": "empty" }));
    assert_eq!(
        events.next_event(),
        Some(json!({ "model_name": "streamer", "model_version": "1" }))
    );
    assert_eq!(events.next_event(), None);
}

#[test]
fn a_streaming_model_answers_plain_requests() {
    let server = server("isolation = 'pooled'\n[instances]\nmax = 1");
    for _ in 0..3 {
        // The same instance, which emitted parts in its last call.
        assert_eq!(server.stream("streamer", &json!({})).all().len(), 3);
        let answer = server.infer("streamer", &json!({ "inputs": [] }));
        assert_eq!(answer.output("text_output"), ["not streaming"]);
    }
}

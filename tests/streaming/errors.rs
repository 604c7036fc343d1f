//! Models that fail before their first part, and after it.

use serde_json::json;

use super::{metric, server};
use crate::harness::until;

/// The behaviour of a model, and the expected status and code. The log has the details that the
/// caller must not see.
const FAULTS: [(&str, u16, &str); 3] = [
    ("trap", 500, "model_trapped"),
    ("fail", 500, "model_failed"),
    ("reject", 422, "model_rejected_input"),
];

const BAD_PARTS: [(&str, &str); 7] = [
    ("wrong-name", "unknown output 'text_outptu'"),
    ("wrong-datatype", "of UINT8 takes 1 elements"),
    ("wrong-shape", "has shape [1, 1], expected [-1]"),
    ("torn", "runs past the end"),
    ("twice", "is given twice"),
    ("not-utf8", "not UTF-8"),
    ("nan", "holds NaN"),
];

#[test]
fn an_error_before_parts_is_a_status() {
    let server = server("[breaker]\nfaults = 0");
    for (then, status, code) in FAULTS {
        let answer = server.begin_stream("streamer", &json!({ "parts": 0, "then": then })).answer();
        answer.refused(status, code);
        assert_eq!(answer.header("content-type"), Some("application/json"));
        assert!(!answer.text().contains("corrupt"), "{answer}");
    }
    for (how, _) in BAD_PARTS {
        let answer = server.begin_stream("streamer", &json!({ "parts": 0, "then": how })).answer();
        answer.refused(500, "model_bad_output");
    }
    until("the end of all streams", || metric(&server, "streams_open") == 0.0);
}

#[test]
fn an_error_after_parts_is_the_last_event() {
    let server = server("[breaker]\nfaults = 0");
    for (then, _, code) in FAULTS {
        let (events, last) =
            server.stream("streamer", &json!({ "parts": 20, "then": then })).all_until_error();
        assert_eq!((events.len(), last.as_str()), (20, code));
    }
    assert_eq!(metric(&server, "request_failures_total"), 3.0);
    server.until_logged("the weights are corrupt");
    server.until_busy("streamer", 0);
    let mut events = server.stream("streamer", &json!({ "parts": 1, "then": "reject" }));
    events.next_text();
    let last = json!({ "error": "this input is not to my taste", "code": "model_rejected_input" });
    assert_eq!(events.next_event(), Some(last));
}

#[test]
fn an_undeclared_part_ends_the_stream() {
    let server = server("[breaker]\nfaults = 0");
    for (how, logged) in BAD_PARTS {
        let (events, last) = server.stream("streamer", &json!({ "then": how })).all_until_error();
        assert_eq!((events.len(), last.as_str()), (3, "model_bad_output"), "{how}");
        if how != "not-utf8" && how != "nan" {
            server.until_logged(logged);
        }
    }
    assert_eq!(server.stream("streamer", &json!({})).all().len(), 3);
}

#[test]
fn failing_streams_disable_a_version() {
    let server = server("[breaker]\nfaults = 3\npause = '10m'");
    for _ in 0..3 {
        server.stream("streamer", &json!({ "then": "trap" })).all();
    }
    server.begin_stream("streamer", &json!({})).answer().refused(503, "model_suspended");
    server.generate("streamer", &json!({})).refused(503, "model_suspended");
}

#[test]
fn disconnected_streams_do_not_disable_a_version() {
    let server = server("[breaker]\nfaults = 1");
    for _ in 0..3 {
        let mut events = server.stream("streamer", &json!({ "then": "spin" }));
        events.next_text();
        drop(events);
    }
    server.until_busy("streamer", 0);
    assert_eq!(server.stream("streamer", &json!({})).all().len(), 3);
}

//! Deadlines that a caller sets.

use serde_json::json;

use super::{MANY, has_never_tripped, one};

#[test]
fn a_callers_own_deadline_is_named_without_blame() {
    let server = one("scripted", "[limits]\ndeadline = '10m'\ncpu_time = '10m'\n");
    for word in ["spin", "sleep:600000"] {
        for _ in 0..MANY {
            let body = json!({ "inputs": [], "parameters": { "behave": word, "timeout": 5000 } });
            let late = server.infer("model", &body);
            late.refused(504, "deadline_exceeded");
            assert!(
                late.text().contains("the parameter 'timeout' ran out: it was 5000 microseconds"),
                "{late}"
            );

            let call =
                server.call("POST", "/v2/models/model/infer").header("wardian-deadline-ms", "5");
            let late = call.json(&json!({ "inputs": [], "parameters": { "behave": word } })).send();
            late.refused(504, "deadline_exceeded");
            assert!(
                late.text().contains("the header Wardian-Deadline-Ms ran out: it was 5 ms"),
                "{late}"
            );
        }
        let late = server.generate("model", &json!({ "behave": word, "timeout": 5 }));
        late.refused(504, "deadline_exceeded");
        assert!(
            late.text().contains("the parameter 'timeout' ran out: it was 5 microseconds"),
            "{late}"
        );
    }
    has_never_tripped(&server);
}

#[test]
fn the_shorter_deadline_is_named() {
    let server = one("scripted", "[limits]\ndeadline = '50ms'\ncpu_time = '10m'\n");
    let body =
        json!({ "inputs": [], "parameters": { "behave": "sleep:600000", "timeout": 60_000_000 } });
    let late = server.infer("model", &body);
    assert!(
        late.refused(504, "deadline_exceeded").text().contains("the deadline of 50 ms"),
        "{late}"
    );
    let call = server.call("POST", "/v2/models/model/infer").header("wardian-deadline-ms", "40");
    let late = call.json(&body).send();
    assert!(
        late.refused(504, "deadline_exceeded").text().contains("Wardian-Deadline-Ms"),
        "{late}"
    );
}

#[test]
fn a_streams_deadline_is_named_without_blame() {
    let server = one("streamer", "[streaming]\ndeadline = '10m'\ncpu_time = '10m'\n");
    for then in ["spin", "sleep"] {
        for _ in 0..MANY {
            let body = json!({ "parts": 1, "then": then, "timeout": 50_000 });
            let mut events = server.stream("model", &body);
            events.next_text();
            let last = events.next_event().unwrap();
            assert_eq!(last["code"], "deadline_exceeded");
            let text = last["error"].as_str().unwrap();
            assert!(
                text.contains("the parameter 'timeout' ran out: it was 50000 microseconds"),
                "{text}"
            );
        }
    }
    has_never_tripped(&server);
}

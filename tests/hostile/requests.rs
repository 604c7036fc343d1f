//! Requests that make a guest misbehave, some of them by clients that disconnect.

use std::io::{Read, Write};
use std::net::TcpStream;

use serde_json::json;

use super::{SETTINGS, beside_a_neighbour, harms_no_other, imports};
use crate::harness::{Models, Server, address, scripted, wat_model};

/// The behaviour word for the scripted model, and the expected status and error code.
const BEHAVIOURS: [(&str, u16, &str); 25] = [
    ("spin", 504, "cpu_time_exceeded"),
    ("slow:600000", 504, "cpu_time_exceeded"),
    ("trap", 500, "model_trapped"),
    ("panic", 500, "model_trapped"),
    ("exit", 500, "model_trapped"),
    ("recurse", 500, "model_trapped"),
    ("eat", 500, "model_out_of_memory"),
    ("fail", 500, "model_failed"),
    ("reject", 422, "model_rejected_input"),
    ("log-flood", 200, ""),
    ("stdout-flood", 200, ""),
    ("stderr-flood", 200, ""),
    ("huge-output", 500, "model_out_of_memory"),
    ("not-utf8", 500, "model_bad_output"),
    ("bad-shape", 500, "model_bad_output"),
    ("bad-length", 500, "model_bad_output"),
    ("bad-bool", 500, "model_bad_output"),
    ("bad-bytes", 500, "model_bad_output"),
    ("short-bytes", 500, "model_bad_output"),
    ("long-bytes", 500, "model_bad_output"),
    ("wrong-shape", 500, "model_bad_output"),
    ("wrong-datatype", 500, "model_bad_output"),
    ("wrong-name", 500, "model_bad_output"),
    ("missing-output", 500, "model_bad_output"),
    ("duplicate-output", 500, "model_bad_output"),
];

/// Models that do one harmful thing each, with the expected status and error code.
fn written_models() -> Vec<(&'static str, Vec<u8>, u16, &'static str)> {
    let tensor = |offset: u32, value: i64| {
        let place = address::TENSOR + offset;
        wat_model(&format!(
            "(func $answer (result i64) (i32.store (i32.const {place}) (i32.const {value})) (i64.const 0))"
        ))
    };
    let result = wat_model(&format!(
        "(func $answer (result i64) (i32.store8 (i32.const {}) (i32.const 9)) (i64.const 0))",
        address::RESULT
    ));
    vec![
        ("name-nowhere", tensor(0, -8), 500, "model_bad_output"),
        ("name-endless", tensor(4, -1), 500, "model_bad_output"),
        ("datatype-unknown", tensor(8, 200), 500, "model_bad_output"),
        ("shape-endless", tensor(16, 0x1fff_ffff), 500, "model_bad_output"),
        ("data-nowhere", tensor(20, -4), 500, "model_bad_output"),
        ("data-huge", tensor(24, 200_000), 500, "model_bad_output"),
        ("data-endless", tensor(24, -1), 500, "model_bad_output"),
        ("result-neither", result, 500, "model_bad_output"),
        ("handles", imports::hoarder(), 500, "model_trapped"),
        ("random-huge", imports::random("(i64.const 0x100000000000)"), 500, "model_trapped"),
        ("random-endless", imports::random("(i64.const 65536)"), 504, "cpu_time_exceeded"),
    ]
}

fn fill(models: &Models) {
    models.settings("scripted", SETTINGS);
    models.version("scripted", 1, scripted("version=1"));
    for (name, component, ..) in written_models() {
        models.settings(name, SETTINGS);
        models.version(name, 1, component);
    }
}

/// Sends a request, or half of one, and disconnects.
fn hang_up(server: &Server, model: &str, word: &str) {
    server.begin_behave(model, word).hang_up();
    begin_body(server, model, 1000);
}

/// Begins to send a body of this length.
fn begin_body(server: &Server, model: &str, length: usize) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
    );
    stream.write_all(head.as_bytes()).unwrap();
    stream.write_all(b"{\"inputs\": [], \"parameters\": {").unwrap();
    stream
}

/// Sends the same request from three clients while other clients disconnect.
fn attempt(server: &Server, model: &str, word: &str, outcome: (u16, &str)) {
    hang_up(server, model, word);
    let callers = [(); 3].map(|()| server.begin_behave(model, word));
    hang_up(server, model, word);
    for caller in callers {
        let answer = caller.answer();
        assert_eq!(answer.outcome(), (outcome.0, outcome.1.to_owned()), "{model} {word}: {answer}");
    }
}

fn attempts(server: &Server) {
    for (word, status, code) in BEHAVIOURS {
        attempt(server, "scripted", word, (status, code));
        assert_eq!(server.behave("scripted", "ok").number("calls"), 1, "after {word}");
    }
    for (name, _, status, code) in written_models() {
        attempt(server, name, "ok", (status, code));
    }
    sleeping_too_long(server);
    larger_than_allowed(server);
}

fn sleeping_too_long(server: &Server) {
    let call =
        || server.call("POST", "/v2/models/scripted/infer").header("wardian-deadline-ms", "300");
    let body = json!({ "inputs": [], "parameters": { "behave": "sleep:600000" } });
    let callers = [(); 3].map(|()| call().json(&body).begin());
    call().json(&body).begin().hang_up();
    for caller in callers {
        caller.answer().refused(504, "deadline_exceeded");
    }
}

/// A body is refused for its announced length, before it arrives.
fn larger_than_allowed(server: &Server) {
    let mut stream = begin_body(server, "scripted", (16 << 20) + 1);
    let mut answer = [0; 12];
    stream.read_exact(&mut answer).unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}

#[test]
fn hostile_requests_harm_no_other_model() {
    let server = beside_a_neighbour(fill).start();
    server.until_tried();
    // The first run makes everything that is made on first use.
    attempts(&server);
    harms_no_other(&server, || attempts(&server));
}

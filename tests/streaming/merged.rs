//! The same response as a whole, and models that do not stream.

use serde_json::json;

use super::server;
use crate::harness::{Server, guest, scripted};

#[test]
fn parts_are_joined() {
    let server = server("");
    let answer =
        server.generate("streamer", &json!({ "text_input": ["a", "b"], "id": "x", "parts": 3 }));
    let whole = json!({
        "model_name": "streamer", "model_version": "1", "id": "x",
        "last": true, "text_output": "a b0 a b1 a b2 ", "index": [0, 1, 2],
    });
    assert_eq!(answer.ok().json(), whole);
    assert_eq!(answer.header("content-type"), Some("application/json"));
    assert!(answer.header("server-timing").unwrap().contains("queue;dur="), "{answer}");
    let nothing = server.generate("streamer", &json!({ "parts": 0 })).ok().json();
    assert_eq!(
        nothing,
        json!({ "model_name": "streamer", "model_version": "1", "text_output": "" })
    );
}

#[test]
fn incompatible_parts_are_a_bad_output() {
    let server = server("");
    server.generate("streamer", &json!({ "then": "two" })).refused(500, "model_bad_output");
    server.until_logged("parts of output 'text_output' cannot be joined");
    // Each part by itself is valid.
    let events = server.stream("streamer", &json!({ "then": "two" })).all();
    assert_eq!(events.last().unwrap()["text_output"], json!(["a", "b"]));
}

#[test]
fn an_error_in_a_part_fails_the_whole() {
    let server = server("");
    for (then, status, code) in [
        ("trap", 500, "model_trapped"),
        ("reject", 422, "model_rejected_input"),
        ("fail", 500, "model_failed"),
    ] {
        server.generate("streamer", &json!({ "then": then })).refused(status, code);
    }
}

#[test]
fn a_model_without_streaming_answers_in_one_part() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted("version=7"));
        models.bare("minimal", guest("minimal"));
    })
    .start();
    server.until_tried();
    let body = json!({ "x": [1.5, 2], "text": "hé", "id": "a" });
    let whole = server.generate("scripted", &body).ok().json();
    assert_eq!(
        (&whole["version"], &whole["sum"], &whole["text"]),
        (&json!(7), &json!(3.5), &json!("hé"))
    );
    assert_eq!(whole["copies"].as_array().unwrap().len(), 256);
    assert_eq!(server.stream("scripted", &body).all(), [whole]);
    assert_eq!(server.generate("minimal", &json!({ "x": 4 })).ok().json()["y"], 8.0);
    for behave in ["trap", "reject"] {
        let (status, code) = server.behave("scripted", behave).outcome();
        let body = json!({ "behave": behave });
        server.generate("scripted", &body).refused(status, &code);
        server.begin_stream("scripted", &body).answer().refused(status, &code);
    }
}

#[test]
fn a_model_without_streaming_keeps_its_deadline() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "[limits]\ndeadline = '50ms'\n[streaming]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=7"));
    })
    .start();
    server.until_ready("scripted", 1);
    server
        .generate("scripted", &json!({ "behave": "sleep:600000" }))
        .refused(504, "deadline_exceeded");
}

#[test]
fn merging_small_texts_uses_bounded_memory() {
    const SIZE: u64 = 32 << 20;
    for parts in [1, 2] {
        let server = server("[limits]\nresponse = '64MiB'\n[streaming]\ntotal = '80MiB'");
        let before = server.peak();
        // Each element is a letter and its length.
        let answer =
            server.generate("streamer", &json!({ "parts": parts, "elements": SIZE / 5 / parts }));
        assert!(answer.ok().text().ends_with("\"]}"), "{parts}");
        let taken = server.peak() - before;
        assert!(taken < 6 * SIZE, "{parts} parts of {SIZE} bytes in all took {taken} bytes");
    }
}

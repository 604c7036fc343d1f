//! Responses without text.

use serde_json::json;

use crate::harness::{Server, guest, guest_folder};

#[test]
fn a_stream_without_parts_has_all_outputs() {
    let server = Server::with_models(|models| models.bare("model", guest("streamer"))).start();
    server.until_ready("model", 1);
    let body = json!({ "parts": 0, "id": "a" });
    let nothing =
        json!({ "model_name": "model", "model_version": "1", "id": "a", "text_output": "" });
    assert_eq!(server.generate("model", &body).ok().json(), nothing);
    assert_eq!(server.stream("model", &body).all(), [nothing]);
    // The model emitted a part, and only that part is passed on; the whole response has every
    // promised output.
    let empty = json!({ "parts": 0, "then": "empty" });
    assert_eq!(server.stream("model", &empty).all().len(), 1);
    assert_eq!(server.generate("model", &empty).ok().json()["text_output"], "");
}

#[test]
fn an_error_after_a_heartbeat_is_an_event() {
    let settings = "[streaming]\nheartbeat = '20ms'\n";
    let server = Server::with_models(|models| {
        models.settings("model", settings);
        models.version("model", 1, guest("session-words"));
    });
    let server = server.start();
    server.until_ready("model", 1);
    let mut events = server.stream("model", &json!({ "do": "sleep 100" }));
    assert_eq!(events.next_block().as_deref(), Some(":\n\n"));
    assert_eq!(events.next_event().unwrap()["state"], "");
    assert_eq!(events.next_event(), None);
}

#[test]
fn a_stream_without_text_has_an_empty_text() {
    let server =
        Server::with_models(|models| models.copy_folder(&guest_folder("chat"), "chat/1")).start();
    server.until_ready("chat", 1);
    let body = json!({ "text_input": "s all disgrace in me", "parameters": { "max_tokens": 20 } });
    let whole = server.generate("chat", &body).ok().json();
    assert!(whole["text_output"].is_string(), "{whole}");
    let events = server.stream("chat", &body).all();
    assert!(!events.is_empty());
    let texts: String = events.iter().map(|event| event["text_output"].as_str().unwrap()).collect();
    assert_eq!(whole["text_output"], texts);
}

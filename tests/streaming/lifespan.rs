//! Streams that outlive their version, and streams during the stop of the server.

use serde_json::json;

use super::{LARGE, server, streamer};
use crate::harness::{Server, guest};

#[test]
fn a_replaced_version_finishes_its_stream() {
    let server = server(LARGE);
    let mut old = server.stream("streamer", &json!({ "parts": 100, "size": 1 << 20 }));
    server.models().version("streamer", 2, guest("streamer"));
    server.until_ready("streamer", 2);
    assert_eq!(server.stream("streamer", &json!({})).all()[0]["model_version"], "2");
    for _ in 0..100 {
        assert_eq!(old.next_event().unwrap()["model_version"], "1");
    }
    assert_eq!(old.next_event(), None);
    server.until_logged("unloaded model=default/streamer version 1");
}

#[test]
fn a_stopping_server_finishes_streams() {
    let server = server(LARGE);
    let mut events = server.stream("streamer", &json!({ "parts": 100, "size": 1 << 20 }));
    events.next_text();
    server.terminate();
    server.until_logged("draining");
    server.begin_stream("streamer", &json!({})).answer().refused(503, "overloaded");
    assert_eq!(events.all().len(), 99);
    assert!(server.until_ended().success());
    assert!(server.log().contains("drained"), "{}", server.log());
}

#[test]
fn the_drain_timeout_bounds_streams() {
    let setup = Server::with_models(|models| streamer(models, "streamer", LARGE));
    let server = setup.argument("--drain-timeout").argument("1s").start();
    server.until_ready("streamer", 1);
    let mut events = server.stream("streamer", &json!({ "then": "sleep" }));
    events.next_text();
    server.terminate();
    assert!(server.until_ended().success());
    server.until_logged("not everything has drained in time");
}

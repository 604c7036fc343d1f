//! Requests that call no guest wait while guests need the cores.

use super::wire::Wire;
use crate::harness::{Server, scripted};

/// Requests of a flood: far more HTTP time than a client may use at once.
const REQUESTS: usize = 3000;

/// Requests that are sent before their responses are read.
const PIPELINE: usize = 100;

fn server() -> Server {
    let server = Server::with_models(|models| {
        models.settings("scripted", "[limits]\ndeadline = '10m'\ncpu_time = '10m'");
        models.version("scripted", 1, scripted("version=1"));
    });
    let server = server.start();
    server.until_ready("scripted", 1);
    server
}

/// Sends a request again and again on one connection. Every response has status 200.
fn flood(server: &Server, request: &str) {
    let mut wire = Wire::to(server);
    for _ in 0..REQUESTS / PIPELINE {
        wire.send(request.repeat(PIPELINE)).unwrap();
        for _ in 0..PIPELINE {
            assert_eq!(wire.answer().unwrap().status, 200);
        }
    }
}

fn waits(server: &Server) -> f64 {
    server.metric("wardian_connections_paced_total").unwrap_or(0.0)
}

#[test]
fn cheap_requests_wait_only_while_guests_need_the_cores() {
    let server = server();
    let cheap = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n";
    flood(&server, cheap);
    let at_rest = waits(&server);
    // A look at the repository needs a core for a moment.
    assert!(at_rest <= 3.0, "{at_rest}");

    let spinning = server.begin_behave("scripted", "spin");
    server.until_busy("scripted", 1);
    flood(&server, cheap);
    let beside = waits(&server) - at_rest;
    assert!(beside >= 10.0, "{beside}");
    drop(spinning);
}

#[test]
fn refused_bodies_are_read_slowly_while_guests_need_the_cores() {
    let server = server();
    let spinning = server.begin_behave("scripted", "spin");
    server.until_busy("scripted", 1);

    let length = 64 << 20;
    let head =
        format!("POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n");
    let body = vec![b' '; length];
    for _ in 0..4 {
        let mut wire = Wire::to(&server);
        // The server may close its side before all of the body has arrived.
        let _ = wire.send(&head).and_then(|()| wire.send(&body));
    }
    assert!(waits(&server) > 0.0);
    drop(spinning);
}

#[test]
fn calls_of_guests_do_not_wait() {
    let server = server();
    let spinning = server.begin_behave("scripted", "spin");
    server.until_busy("scripted", 1);

    let body = r#"{"inputs":[],"parameters":{"behave":"ok"}}"#;
    let call = format!(
        "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    flood(&server, &call);
    assert_eq!(waits(&server), 0.0);
    drop(spinning);
}

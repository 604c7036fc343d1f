//! Connections that stay open between requests, and how they are closed.

use std::time::{Duration, Instant};

use serde_json::json;
use wardian::config::HttpConfig;

use super::wire::Wire;
use crate::harness::{Server, scripted, until};

const HALF_A_HEAD: &str = "GET /v2 HTTP/1.1\r\nhost: localhost\r\nx-half: ";

#[test]
fn keep_alive_limits_the_pause_between_requests() {
    let config = "[http]\nheader_read_timeout = '200ms'\nkeep_alive = '1h'";
    let server = Server::with_models(|_| {}).config(config).start();
    let (mut fresh, mut open, mut half) = (Wire::to(&server), Wire::to(&server), Wire::to(&server));
    open.goes_on();
    half.goes_on();
    half.send(HALF_A_HEAD).unwrap();
    // Both connections have waited for longer than a head may take.
    fresh.until_ended();
    half.until_ended();
    open.goes_on();
}

#[test]
fn a_pause_beyond_its_limit_ends_the_connection() {
    let config = "[http]\nheader_read_timeout = '1h'\nkeep_alive = '200ms'";
    let server = Server::with_models(|_| {}).config(config).start();
    let mut wire = Wire::to(&server);
    wire.goes_on();
    let start = Instant::now();
    wire.ends();
    assert!(start.elapsed() < HttpConfig::default().keep_alive);
}

#[test]
fn a_client_that_reads_nothing_is_cut_off() {
    let config = "[http]\nwrite_timeout = '200ms'\n[log]\nlevel = 'debug'";
    let server = Server::with_models(|_| {}).config(config).start();
    let mut wire = Wire::to(&server);
    // The responses are larger than the socket buffers.
    let requests = "GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(1000);
    wire.send(requests).unwrap();
    server.until_logged("a connection whose client took too long was closed");
}

#[test]
fn proxies_close_idle_connections_before_the_server_does() {
    let HttpConfig { header_read_timeout, keep_alive, .. } = HttpConfig::default();
    assert_eq!(
        (header_read_timeout, keep_alive),
        (Duration::from_secs(10), Duration::from_secs(75))
    );
}

#[test]
fn responses_close_connections_while_draining() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "[limits]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=1"));
    });
    let server = server.config("drain_timeout = '10m'").start();
    server.until_ready("scripted", 1);
    let mut wires = [Wire::to(&server), Wire::to(&server)];
    wires.iter_mut().for_each(Wire::goes_on);
    let slow = json!({ "inputs": [], "parameters": { "behave": "sleep:2000" } }).to_string();
    let head = "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost";
    let mut under_way = Wire::to(&server);
    under_way.send(format!("{head}\r\ncontent-length: {}\r\n\r\n{slow}", slow.len())).unwrap();
    server.until_busy("scripted", 1);
    server.terminate();
    until("that it is not ready", || server.get("/v2/health/ready").status == 503);
    for (wire, path, status) in [(0, "/v2/health/live", 200), (1, "/v2/health/ready", 503)] {
        let wire = &mut wires[wire];
        wire.send(format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n")).unwrap();
        let answer = wire.answer().unwrap();
        assert_eq!((answer.status, answer.closes()), (status, true), "{answer:?}");
        wire.ends();
    }
    let answer = under_way.answer().unwrap();
    assert_eq!((answer.status, answer.closes()), (200, true), "{answer:?}");
    under_way.ends();
    assert!(server.until_ended().success());
}

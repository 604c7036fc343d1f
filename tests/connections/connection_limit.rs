//! More connections than allowed: connections without work are closed to make room for new ones.

use std::time::{Duration, Instant};

use serde_json::json;

use super::wire::Wire;
use crate::harness::{Server, scripted, until};

/// The longest time that a request may take, whatever other clients do with their connections. A
/// connection counts as stalled after a second; the rest is for a busy machine.
const LATEST: Duration = Duration::from_secs(10);

const READY: &str = "GET /v2/health/ready HTTP/1.1\r\nhost: localhost\r\n\r\n";

/// Starts a server with a scripted model and a limit on connections.
fn server(most: usize) -> Server {
    let server = Server::with_models(|models| {
        models.settings("scripted", "[limits]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=1"));
    });
    let server =
        server.config(&format!("[log]\nlevel = 'debug'\n[http]\nmax_connections = {most}")).start();
    server.until_ready("scripted", 1);
    server
}

/// Sends this many requests, each on a connection of its own.
#[track_caller]
fn is_answered(server: &Server, times: usize) {
    for time in 0..times {
        let start = Instant::now();
        server.behave("scripted", "ok").ok();
        assert!(start.elapsed() < LATEST, "{:?} at the {time}th time", start.elapsed());
    }
}

fn closed_for_room(server: &Server) -> f64 {
    server.metric("wardian_connections_closed_total{reason=\"room\"}").unwrap_or(0.0)
}

#[test]
fn stalled_clients_make_room_for_others() {
    let server = server(50);
    let mut unread: Vec<_> = (0..50).map(|_| Wire::to(&server)).collect();
    for wire in &mut unread {
        wire.send("GET /openapi.json HTTP/1.1\r\nhost: localhost\r\n\r\n".repeat(2000)).unwrap();
    }
    is_answered(&server, 100);
    assert!(closed_for_room(&server) > 0.0);
}

#[test]
fn only_idle_connections_make_room() {
    let server = server(20);
    let mut under_way = server.begin_behave("scripted", "sleep:3000");
    server.until_busy("scripted", 1);
    let mut idle: Vec<_> = (0..40).map(|_| Wire::to(&server)).collect();
    is_answered(&server, 50);
    for wire in &mut idle {
        // Connections that are closed already may fail here.
        let _ = wire.send(READY);
    }
    is_answered(&server, 50);
    assert_eq!(under_way.status(), 200);
    assert!(closed_for_room(&server) >= 20.0);
    assert!(server.metric("wardian_connections_open").unwrap() <= 20.0);
}

#[test]
fn refused_requests_without_bodies_make_room() {
    let server = server(8);
    let mut refused: Vec<_> = (0..8).map(|_| Wire::to(&server)).collect();
    for wire in &mut refused {
        wire.send("POST /nowhere HTTP/1.1\r\nhost: localhost\r\ncontent-length: 1000\r\n\r\nbegun")
            .unwrap();
    }
    is_answered(&server, 20);
    assert!(closed_for_room(&server) > 0.0);
}

#[test]
fn connections_wait_while_all_others_work() {
    let server = server(2);
    let mut open = [Wire::to(&server), Wire::to(&server)];
    for wire in &mut open {
        let head = "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\nexpect: 100-continue\r\n";
        wire.send(format!("{head}content-length: 13\r\n\r\n")).unwrap();
        assert_eq!(wire.answer().unwrap().status, 100, "its body is wanted");
    }
    let mut waiting = server.call("GET", "/v2/health/live").begin();
    server.until_logged("a connection waits: all others have a request under way");
    assert!(!waiting.has_begun(), "both connections have a request");
    let [one, other] = &mut open;
    one.send(r#"{"inputs":[]}"#).unwrap();
    assert_eq!(one.answer().unwrap().status, 200);
    assert_eq!(waiting.status(), 200, "it has the place of the one that is idle now");
    other.send(r#"{"inputs":[]}"#).unwrap();
    assert_eq!(other.answer().unwrap().status, 200);
}

#[test]
fn several_tenants_leave_connections_to_each_other() {
    let setup = Server::with_models(|_| {});
    for name in ["a", "b"] {
        let models = setup.repository(name);
        models.settings("scripted", "[limits]\ndeadline = '10m'");
        models.version("scripted", 1, scripted("version=1"));
    }
    let tenants = "[tenants.default]\n[tenants.a]\nrepository = 'a'\n[tenants.b]\nrepository = 'b'\n[http]\nmax_connections = 8";
    let server = setup.config(tenants).start();
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    a.until_ready("scripted", 1);
    b.until_ready("scripted", 1);

    let of_a: Vec<_> = (0..6).map(|_| a.begin_behave("scripted", "sleep:600000")).collect();
    a.until_holds("concurrency", 6);
    a.behave("scripted", "ok").refused(429, "quota_exceeded");
    b.behave("scripted", "ok").ok();
    assert_eq!(
        a.get("/v2/usage").ok().json()["quota"]["concurrency"],
        json!({ "used": 6, "limit": 6 })
    );
    assert!(of_a.iter().all(|pending| !pending.has_begun()));
}

#[test]
fn idle_connections_cannot_take_the_last_file_descriptor() {
    let server = Server::with_models(|models| models.version("scripted", 1, scripted("version=1")));
    let server = server.descriptors(256).start();
    server.until_logged("it may have 256");
    server.until_ready("scripted", 1);
    let idle: Vec<_> = (0..300).map(|_| Wire::to(&server)).collect();
    until("that connections are turned away", || closed_for_room(&server) > 100.0);
    server.models().version("second", 1, scripted("version=2"));
    server.until_ready("second", 1);
    assert_eq!(server.version_of("second"), 2);
    drop(idle);
}

//! Responses that their clients do not read: what they hold, and for how long.

use serde_json::json;

use super::wire::Wire;
use crate::harness::{Models, Pending, Server, Tenant, guest, until};

/// More bytes than the sockets between server and client can buffer.
const LARGE: usize = 24 << 20;

const SETTINGS: &str = "[limits]\nmemory = '256MiB'\nresponse = '64MiB'\ndeadline = '10m'\ncpu_time = '10m'\n\
    [streaming]\ntotal = '64MiB'\ndeadline = '10m'\ncpu_time = '10m'\n[breaker]\nfaults = 0\n";

fn streamer(models: &Models) {
    models.settings("streamer", SETTINGS);
    models.version("streamer", 1, guest("streamer"));
}

/// Starts a server whose tenant `a` has this quota and the streamer.
fn server(config: &str, quota: &str) -> Server {
    let setup = Server::with_models(|_| {});
    streamer(&setup.repository("a"));
    let tenants = format!(
        "{config}[tenants.default]\n[tenants.a]\nrepository = 'a'\n[tenants.a.quota]\n{quota}"
    );
    let server = setup.config(&tenants).start();
    server.tenant("a").until_ready("streamer", 1);
    server
}

/// Requests a response of this many bytes and waits until it has begun. Returns the status as well.
fn ask(tenant: &Tenant<'_>, verb: &str, bytes: usize) -> (Pending, u16) {
    let body = json!({ "parts": 1, "size": bytes });
    let mut pending =
        tenant.call("POST", &format!("/v2/models/streamer/{verb}")).json(&body).begin();
    let status = pending.status();
    (pending, status)
}

#[test]
fn concurrency_is_held_until_the_response_has_left() {
    let server = server("", "concurrency = 1");
    let tenant = server.tenant("a");
    for verb in ["generate", "generate_stream"] {
        let (unread, status) = ask(&tenant, verb, LARGE);
        assert_eq!(status, 200, "{verb}");
        // The model has finished.
        tenant.until_holds("instances", 0);
        assert_eq!(tenant.holds("concurrency"), 1, "{verb}");
        assert_eq!(ask(&tenant, verb, 1).1, 429, "{verb}");
        unread.hang_up();
        tenant.until_holds("concurrency", 0);
    }
    let (unread, _) = ask(&tenant, "generate", LARGE);
    assert!(unread.rest().unwrap() > LARGE);
    tenant.until_holds("concurrency", 0);
}

#[test]
fn unread_responses_count_as_memory() {
    // Longer than the test takes on a busy machine, so that no response is cut off meanwhile.
    let server = server("[http]\nwrite_timeout = '10m'\n", "memory = '160MiB'");
    let tenant = server.tenant("a");
    let before = server.resident();
    let mut unread = Vec::new();
    let mut answered = 0;
    for _ in 0..60 {
        let (pending, status) = ask(&tenant, "generate", LARGE);
        answered += usize::from(status == 200);
        unread.push(pending);
        assert!(tenant.holds("memory") <= 160 << 20);
    }
    assert!((1..=6).contains(&answered), "{answered} answers of 24 MiB in 160 MiB");
    assert!(server.resident() < before + (400 << 20), "{} of {before}", server.resident());
    let refused = tenant
        .call("POST", "/v2/models/streamer/generate")
        .json(&json!({ "parts": 1, "size": LARGE }))
        .send();
    assert_eq!(refused.json()["quota"], "memory", "{refused}");
    drop(unread);
    tenant.until_holds("memory", 0);
}

#[test]
fn arriving_bodies_count_as_memory() {
    let server = server("", "memory = '64MiB'");
    let tenant = server.tenant("a");
    let unfinished: Vec<_> = (0..40)
        .map(|_| {
            let call = tenant.call("POST", "/v2/models/streamer/generate");
            call.header("content-type", "application/json")
                .body(vec![b' '; 4 << 20])
                .announce(8 << 20)
                .begin()
        })
        .collect();
    let refused = || tenant.get("/v2/usage").ok().json()["refused"].as_u64().unwrap();
    until("that those beyond the quota are refused", || {
        refused() >= 24 && tenant.holds("memory") > 48 << 20
    });
    assert!(tenant.holds("memory") <= 64 << 20);
    let waiting = || unfinished.iter().filter(|pending| !pending.has_begun()).count();
    until("that these get their answers", || waiting() <= 17);
    drop(unfinished);
    tenant.until_holds("memory", 0);
}

#[test]
fn a_pausing_model_does_not_stall_its_client() {
    let server = server("[http]\nwrite_timeout = '100ms'\n", "");
    let body = json!({ "parts": 3, "between_ms": 500 });
    assert_eq!(server.tenant("a").stream("streamer", &body).all().len(), 3);
}

#[test]
fn unread_responses_end_the_connection() {
    let server = server("[http]\nwrite_timeout = '200ms'\nkeep_alive = '1h'\n", "");
    let tenant = server.tenant("a");
    let unread: Vec<_> =
        ["generate", "generate_stream"].map(|verb| ask(&tenant, verb, LARGE).0).into();
    let heads = |method: &str, path: &str, count| {
        format!("{method} {path} HTTP/1.1\r\nhost: x\r\n\r\n").repeat(count)
    };
    let mut wires = Vec::new();
    for requests in [
        heads("GET", "/openapi.json", 2000),
        heads("GET", "/metrics", 4000),
        heads("HEAD", "/docs", 60_000),
    ] {
        let mut wire = Wire::to(&server);
        // The connection is usually cut while the client still sends.
        let _ = wire.send(requests.replace("host: x", "host: localhost"));
        wires.push(wire);
    }
    let cut = || server.metric("wardian_connections_closed_total{reason=\"timeout\"}") == Some(5.0);
    until("that all five are cut", cut);
    tenant.until_holds("concurrency", 0);
    drop((unread, wires));
}

#[test]
fn a_stopping_server_waits_for_reading_clients() {
    let server = server("drain_timeout = '60s'\n", "");
    let (unread, _) = ask(&server.tenant("a"), "generate", LARGE);
    server.terminate();
    until("that it drains", || server.log().contains("draining"));
    // The server listens until it has drained.
    (0..100).for_each(|_| assert_eq!(server.get("/v2/health/ready").status, 503));
    assert!(unread.rest().unwrap() > LARGE);
    assert!(server.until_ended().success());
}

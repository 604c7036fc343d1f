//! The limits of one request: bytes, connections and time.

use serde_json::json;

use super::{Upstream, ask, caller, get, http, outcomes, send};
use crate::harness::{Server, guest, until};

#[test]
fn an_answer_is_cut_at_the_limit() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "[limits]\ndeadline = '60s'\ncpu_time = '60s'");
    let whole = get(&server, upstream.address, "/large/16");
    assert_eq!((whole.status, whole.length), (200, 16 << 20));
    let cut = get(&server, upstream.address, "/large/17");
    assert_eq!((cut.status, cut.text.contains("body size exceeds limit")), (0, true), "{cut:?}");
    let announced = get(&server, upstream.address, &format!("/announce/{}", 17 << 20));
    assert_eq!(announced.text, format!("ErrorCode::HttpResponseBodySize(Some({}))", 17 << 20));
    for kibibytes in [65, 1000] {
        let headers = get(&server, upstream.address, &format!("/header/{}", kibibytes << 10));
        assert!(
            headers.text.starts_with("ErrorCode::HttpResponseHeaderSectionSize("),
            "{headers:?}"
        );
    }
    assert_eq!(get(&server, upstream.address, "/").status, 200);
}

#[test]
fn errors_for_guests_have_no_backtrace() {
    let upstream = Upstream::start();
    let setup = Server::with_models(|models| {
        models.settings(
            "http-caller",
            &format!("[capabilities]\nhttp = ['http://{}']", upstream.address),
        );
        models.version("http-caller", 1, guest("http-caller"));
    });
    let server = setup.environment("RUST_BACKTRACE", "1").start();
    server.until_ready("http-caller", 1);
    let cut = ask(
        &server,
        format!("GET http {} /announce/100", upstream.address),
        json!({ "patience_ms": 100 }),
    );
    assert!(cut.text.contains("read timeout"), "{cut:?}");
    assert!(
        !cut.text.to_lowercase().contains("backtrace") && cut.text.lines().count() == 1,
        "{cut:?}"
    );
}

#[test]
fn a_request_is_cut_at_the_limit() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "[limits]\ndeadline = '60s'\ncpu_time = '60s'");
    let post = |bytes: usize| {
        ask(&server, format!("POST http {} /", upstream.address), json!({ "body": bytes }))
    };
    assert!(post(16 << 20).text.contains("16777216 bytes came"));
    assert_eq!(post(17 << 20).text, "ErrorCode::HttpRequestBodySize(Some(16777216))");
}

#[test]
fn a_truncated_response_is_an_error() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "");
    let got = ask(
        &server,
        format!("GET http {} /announce/100", upstream.address),
        json!({ "patience_ms": 100 }),
    );
    assert_eq!((got.status, got.text.contains("read timeout")), (0, true), "{got:?}");
    let unused = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = caller(&[http(unused)], "");
    assert_eq!(get(&server, unused, "/").text, "ErrorCode::ConnectionRefused");
}

#[test]
fn a_silent_upstream_ends_at_the_deadline() {
    let upstream = Upstream::start();
    for isolation in ["request", "pooled"] {
        let settings = format!("isolation = '{isolation}'\n[limits]\ndeadline = '1s'");
        let server = caller(&[http(upstream.address)], &settings);
        let silent = format!("GET http {} /silent", upstream.address);
        send(&server, std::slice::from_ref(&silent), json!({})).refused(504, "deadline_exceeded");
        everything_is_back(&server, &upstream);
        let impatient = ask(&server, silent, json!({ "patience_ms": 50 }));
        assert_eq!(impatient.text, "ErrorCode::HttpResponseTimeout");
        assert_eq!(get(&server, upstream.address, "/").status, 200);
    }
}

#[test]
fn a_disconnect_cancels_outgoing_requests() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "[limits]\ndeadline = '10m'");
    let asks = json!({ "name": "asks", "datatype": "BYTES", "shape": [1],
        "data": [format!("GET http {} /silent", upstream.address)] });
    let pending = server
        .call("POST", "/v2/models/http-caller/infer")
        .json(&json!({ "inputs": [asks] }))
        .begin();
    until("the request", || !upstream.heads().is_empty());
    pending.hang_up();
    everything_is_back(&server, &upstream);
}

#[test]
fn open_requests_end_with_the_call() {
    let upstream = Upstream::start();
    for isolation in ["request", "pooled"] {
        let server = caller(&[http(upstream.address)], &format!("isolation = '{isolation}'"));
        // The head arrives, and only the beginning of the body.
        let asks = vec![format!("GET http {} /announce/100", upstream.address); 17];
        let got = outcomes(&send(&server, &asks, json!({ "keep": true })));
        assert!(got[..16].iter().all(|got| got.status == 200), "{isolation}: {got:?}");
        assert_eq!(got[16].text, "ErrorCode::ConnectionLimitReached", "{isolation}");
        everything_is_back(&server, &upstream);
        assert_eq!(get(&server, upstream.address, "/").status, 200);
    }
}

#[test]
fn connections_are_reused() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "");
    for _ in 0..20 {
        assert_eq!(get(&server, upstream.address, "/").status, 200);
    }
    assert_eq!(upstream.heads().len(), 20);
    // Sometimes a connection has not returned to the pool yet when the next request needs one.
    assert!(upstream.made() < 10, "{} connections", upstream.made());
}

fn everything_is_back(server: &Server, upstream: &Upstream) {
    server.until_busy("http-caller", 0);
    until("that the connections are closed", || upstream.open() == 0);
}

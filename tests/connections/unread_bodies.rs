//! Refusals of requests with unread bodies: every sender gets the response, also one that sends
//! everything before it reads.

use std::time::{Duration, Instant};

use super::wire::{Answer, Wire};
use crate::harness::{Server, scripted, until};
use crate::tenants::{HOST, key};

/// A request that is refused before or while its body is read.
pub(super) struct Refusal {
    pub(super) status: u16,
    method: &'static str,
    pub(super) path: &'static str,
    /// Additional header lines.
    headers: &'static str,
    /// The least body size, in bytes, that is refused this way.
    pub(super) least: usize,
}

const ADMIN: &str = "x-api-key: host-key\r\n";

const fn refusal(
    status: u16,
    method: &'static str,
    path: &'static str,
    headers: &'static str,
) -> Refusal {
    Refusal { status, method, path, headers, least: 0 }
}

pub(super) const REFUSALS: [Refusal; 14] = [
    refusal(
        400,
        "PUT",
        "/v2/repository/models/new/versions/1",
        "x-api-key: host-key\r\nrepr-digest: sha-256=:a:\r\ncontent-digest: sha-256=:b:\r\n",
    ),
    refusal(
        400,
        "POST",
        "/v2/models/scripted/infer",
        "x-api-key: host-key\r\ncontent-encoding: br\r\n",
    ),
    refusal(401, "POST", "/v2/models/scripted/infer", ""),
    refusal(401, "PUT", "/v2/repository/models/new/versions/1", "x-api-key: wrong\r\n"),
    refusal(403, "POST", "/v2/repository/index", "x-api-key: a-key\r\nwardian-tenant: default\r\n"),
    refusal(404, "POST", "/v2/models/nobody/infer", ADMIN),
    refusal(404, "POST", "/nowhere", ""),
    refusal(405, "DELETE", "/v2/repository/index", ADMIN),
    refusal(409, "PUT", "/v2/repository/models/bare/versions/1", ADMIN),
    Refusal { least: 64 << 10, ..refusal(413, "POST", "/v2/repository/index", ADMIN) },
    Refusal { least: 64 << 10, ..refusal(413, "POST", "/v2/models/scripted/infer", ADMIN) },
    refusal(429, "POST", "/v2/models/scripted/infer", "x-api-key: a-key\r\n"),
    refusal(501, "POST", "/v2/repository/main/index", ADMIN),
    refusal(503, "POST", "/v2/models/broken/infer", ADMIN),
];

/// The framing of a request's body, and whether another request may follow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Framing {
    Http10,
    Length,
    Chunked,
}

const FRAMINGS: [Framing; 3] = [Framing::Http10, Framing::Length, Framing::Chunked];

const SIZES: [usize; 4] = [0, 1 << 10, 1 << 20, 30 << 20];

/// Starts a server that refuses everything in [`REFUSALS`].
pub(super) fn server() -> Server {
    let config = format!(
        "keys = [{}]\n[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [{}]\n[tenants.a.quota]\nconcurrency = 0",
        key(HOST, &["admin"]),
        key("a-key", &["infer", "manage"])
    );
    let setup = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.settings("scripted", "[limits]\nrequest = '64KiB'");
        models.bare("bare", scripted("version=1"));
        models.version("broken", 1, scripted("load=fail"));
    });
    setup.repository("a");
    let server = setup.config(&config).start();
    let default = server.holder(HOST).naming("default");
    default.until_ready("bare", 1);
    default.until_ready("scripted", 1);
    until("that a model is not ready", || default.behave("broken", "ok").status == 503);
    server
}

impl Refusal {
    /// Returns the whole request, for a path below a prefix.
    pub(super) fn bytes(&self, prefix: &str, framing: Framing, size: usize) -> Vec<u8> {
        let Refusal { method, path, headers, .. } = self;
        let tenant = if headers.contains("host-key") { "wardian-tenant: default\r\n" } else { "" };
        let (version, length) = match framing {
            Framing::Http10 => ("1.0", format!("content-length: {size}")),
            Framing::Length => ("1.1", format!("content-length: {size}")),
            Framing::Chunked => ("1.1", "transfer-encoding: chunked".to_owned()),
        };
        let head = format!(
            "{method} {prefix}{path} HTTP/{version}\r\nhost: localhost\r\n{headers}{tenant}{length}\r\n\r\n"
        );
        let mut bytes = head.into_bytes();
        let body = vec![b' '; size];
        if framing != Framing::Chunked {
            bytes.extend_from_slice(&body);
            return bytes;
        }
        for chunk in body.chunks(100_000) {
            bytes.extend_from_slice(format!("{:x}\r\n", chunk.len()).as_bytes());
            bytes.extend_from_slice(chunk);
            bytes.extend_from_slice(b"\r\n");
        }
        bytes.extend_from_slice(b"0\r\n\r\n");
        bytes
    }
}

#[test]
fn every_refusal_reaches_its_sender() {
    let server = server();
    for refusal in &REFUSALS {
        for framing in FRAMINGS {
            for size in SIZES.into_iter().filter(|size| *size >= refusal.least) {
                let context = format!("{} {} {framing:?} {size}", refusal.status, refusal.path);
                let mut wire = Wire::to(&server);
                wire.send(refusal.bytes("", framing, size))
                    .unwrap_or_else(|error| panic!("{context}: {error}"));
                let answer = wire.answer().unwrap_or_else(|error| panic!("{context}: {error}"));
                assert_eq!(answer.status, refusal.status, "{context}: {answer:?}");
                match framing {
                    Framing::Http10 => wire.ends(),
                    _ if answer.closes() => {
                        panic!("{context}: a body within the bound costs no connection")
                    }
                    _ => wire.goes_on(),
                }
            }
        }
    }
}

/// Sends a request for a model that does not exist.
fn refused(wire: &mut Wire, more: &str, body: &[u8]) {
    let head =
        format!("POST /v2/models/nobody/infer HTTP/1.1\r\nhost: localhost\r\n{more}\r\n\r\n");
    wire.send(head).unwrap();
    wire.send(body).unwrap();
}

/// Asserts that the request is refused and that the response announces the end of the connection.
#[track_caller]
fn refused_for_good(answer: &Answer) {
    assert_eq!((answer.status, answer.closes()), (404, true), "{answer:?}");
}

#[test]
fn a_body_beyond_the_bound_still_gets_its_response() {
    let server = Server::empty();
    let size = 100 << 20;
    let mut wire = Wire::to(&server);
    refused(&mut wire, &format!("content-length: {size}"), &vec![b' '; size]);
    refused_for_good(&wire.answer().unwrap());
    wire.ends();
}

#[test]
fn a_body_that_never_arrives_delays_no_response() {
    let server = Server::empty();
    for length in [1000, usize::MAX >> 1] {
        let start = Instant::now();
        let mut wire = Wire::to(&server);
        refused(&mut wire, &format!("content-length: {length}"), b"begun");
        refused_for_good(&wire.answer().unwrap());
        assert!(start.elapsed() < Duration::from_secs(20), "{:?}", start.elapsed());
        wire.ends();
    }
}

#[test]
fn a_refused_expect_100_body_is_not_requested() {
    let server =
        Server::with_models(|models| models.version("scripted", 1, scripted("version=1"))).start();
    server.until_ready("scripted", 1);
    let expecting = "content-length: 13\r\nexpect: 100-continue";
    let mut wire = Wire::to(&server);
    refused(&mut wire, expecting, b"");
    refused_for_good(&wire.answer().unwrap());
    wire.ends();
    let mut wire = Wire::to(&server);
    let head = format!(
        "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\n{expecting}\r\n\r\n"
    );
    wire.send(head).unwrap();
    assert_eq!(wire.answer().unwrap().status, 100);
    wire.send(r#"{"inputs":[]}"#).unwrap();
    assert_eq!(wire.answer().unwrap().status, 200);
    wire.goes_on();
}

#[test]
fn an_invalid_head_still_gets_its_response() {
    let server = Server::empty();
    let mut wire = Wire::to(&server);
    wire.send("GET /v2 HTTP/1.1\r\nhost: localhost\r\nno header\r\n\r\n").unwrap();
    wire.send(vec![b' '; 1 << 20]).unwrap();
    assert_eq!(wire.answer().unwrap().status, 400);
    wire.ends();
}

//! Calls without a client library: their bytes are what the test says.

use std::io::Write;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use http_body_util::{BodyExt, Full};
use hyper::client::conn::http2;
use hyper::{Request, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::net::TcpStream;

use super::frames::{DATA, RawClient};
use crate::harness::{Server, guest, scripted};

const INFER: &str = "/inference.GRPCInferenceService/ModelInfer";
const STREAM: &str = "/inference.GRPCInferenceService/ModelStreamInfer";

/// The answer to a call.
#[derive(Debug)]
struct Outcome {
    http: u16,
    status: String,
    text: String,
    code: String,
    body: Bytes,
}

/// A call: the path, the metadata and the body.
type RawCall<'a> = (&'a str, &'a [(&'a str, &'a str)], Vec<u8>);

/// Sends calls one after the other on one connection.
fn calls(server: &Server, calls: &[RawCall<'_>]) -> Vec<Outcome> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(server.address()).await.unwrap();
        let io = TokioIo::new(socket);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);

        let mut outcomes = Vec::new();
        for (path, metadata, body) in calls {
            let uri = format!("http://localhost{path}");
            let request = Request::post(uri).header("content-type", "application/grpc");
            let request = metadata
                .iter()
                .fold(request, |request, (name, value)| request.header(*name, *value))
                .header("te", "trailers");
            sender.ready().await.unwrap();
            let answer =
                sender.send_request(request.body(Full::<Bytes>::from(body.clone())).unwrap());
            let (head, body) = answer.await.unwrap().into_parts();
            let body = body.collect().await.unwrap();

            let trailers = body.trailers().cloned().unwrap_or_default();
            let find = |name: &str| {
                let value = trailers.get(name).or(head.headers.get(name));
                value.map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
            };
            outcomes.push(Outcome {
                http: head.status.as_u16(),
                status: find("grpc-status"),
                text: find("grpc-message"),
                code: find("wardian-code"),
                body: body.to_bytes(),
            });
        }
        outcomes
    })
}

fn call(server: &Server, path: &str, metadata: &[(&str, &str)], body: Vec<u8>) -> Outcome {
    calls(server, &[(path, metadata, body)]).remove(0)
}

/// A message with its prefix.
fn framed(compressed: u8, message: &[u8]) -> Vec<u8> {
    let length = u32::try_from(message.len()).unwrap();
    [&[compressed][..], &length.to_be_bytes(), message].concat()
}

/// A field of bytes.
fn field(number: u8, content: &[u8]) -> Vec<u8> {
    let mut length = content.len();
    let mut out = vec![number << 3 | 2];
    while length >= 128 {
        out.push((length % 128 + 128) as u8);
        length /= 128;
    }
    out.push(length as u8);
    [&out, content].concat()
}

/// A request to `upper` with one text.
fn upper(text: &[u8]) -> Vec<u8> {
    let contents = field(8, text);
    let input =
        [field(1, b"text"), field(2, b"BYTES"), field(3, &[1]), field(5, &contents)].concat();
    [field(1, b"upper"), field(5, &input)].concat()
}

fn gzip(plain: &[u8]) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).unwrap();
    encoder.finish().unwrap()
}

fn serving_upper(settings: &str) -> Server {
    let server = Server::with_models(|models| {
        models.settings("upper", settings);
        models.version("upper", 1, guest("upper"));
    });
    let server = server.start();
    server.until_ready("upper", 1);
    server
}

#[test]
fn bodies_that_are_no_messages_are_refused() {
    let server = serving_upper("");
    let good = framed(0, &upper(b"cat"));
    let mut cases: Vec<(&str, Vec<u8>)> = vec![
        ("no message", vec![]),
        ("half a prefix", vec![0, 0, 0]),
        ("flag", framed(7, &upper(b"cat"))),
        ("cut off", good[..good.len() - 3].to_vec()),
        ("compressed without a coding", framed(1, &gzip(&upper(b"cat")))),
        ("no model", framed(0, &[])),
        ("model in another type", framed(0, &[8, 1])),
        ("model that is not UTF-8", framed(0, &field(1, &[0xff]))),
        ("length beyond the end", framed(0, &[10, 200, 1, b'u'])),
        ("group", framed(0, &[&field(1, b"upper")[..], &[0x2b, 0x2c]].concat())),
        ("many inputs", framed(0, &[field(1, b"upper"), [0x2a, 0].repeat(100_000)].concat())),
        ("many parameters", {
            let entries = (0..1000u32).flat_map(|number| {
                let value = field(2, &[8, 1]);
                field(4, &[field(1, &number.to_be_bytes().map(|byte| byte % 100)), value].concat())
            });
            framed(0, &[field(1, b"upper"), entries.collect()].concat())
        }),
        ("raw and typed", framed(0, &[upper(b"cat"), field(7, b"\x03\0\0\0cat")].concat())),
        ("two texts for one", framed(0, &[upper(b"cat"), upper(b"dog")].concat())),
    ];
    for lies in [&b"cat"[..], b"\x09\0\0\0cat", b"\xff\xff\xff\xffcat", b"\x03\0\0\0catcat", b""] {
        let input = [field(1, b"text"), field(2, b"BYTES"), field(3, &[1])].concat();
        let request = [field(1, b"upper"), field(5, &input), field(7, lies)].concat();
        cases.push(("length prefix", framed(0, &request)));
    }

    let requests: Vec<_> = cases
        .iter()
        .map(|(_, body)| (INFER, &[][..], body.clone()))
        .chain([(INFER, &[][..], good)])
        .collect();
    let mut outcomes = calls(&server, &requests);
    let last = outcomes.pop().unwrap();
    assert_eq!((last.http, &*last.status), (200, "0"), "{last:?}");
    assert!(last.body.windows(3).any(|bytes| bytes == b"CAT"));

    for ((name, _), outcome) in cases.iter().zip(&outcomes) {
        assert_eq!((outcome.http, &*outcome.status), (200, "3"), "{name}: {outcome:?}");
        assert!(!outcome.text.is_empty(), "{name}");
    }
}

#[test]
fn messages_beyond_the_limit_of_the_model_are_refused() {
    let server = serving_upper("[limits]\nrequest = '64KiB'");
    let bomb = gzip(&upper(&vec![b'a'; 50_000_000]));
    let coded: &[(&str, &str)] = &[("grpc-encoding", "gzip"), ("grpc-accept-encoding", "gzip")];

    let outcomes = calls(
        &server,
        &[
            (INFER, &[], framed(0, &upper(&[b'a'; 100_000]))),
            (INFER, coded, framed(1, &gzip(&upper(&vec![b'a'; 10_000_000])))),
            (INFER, coded, framed(1, &bomb)),
            (INFER, coded, framed(1, b"not gzip")),
            (INFER, coded, framed(1, &gzip(&upper(b"cat")))),
            (INFER, coded, framed(0, &upper(b"cat"))),
            (INFER, &[("grpc-encoding", "zstd")], framed(1, &upper(b"cat"))),
            (STREAM, &[], framed(0, &upper(&[b'a'; 100_000]))),
        ],
    );
    let statuses: Vec<_> = outcomes.iter().map(|outcome| &*outcome.status).collect();
    assert_eq!(statuses, ["8", "8", "8", "3", "0", "0", "12", "8"], "{outcomes:?}");
    assert_eq!(outcomes[0].code, "request_too_large");
    assert!(outcomes[0].text.contains("65536"), "{}", outcomes[0].text);
}

#[test]
fn a_call_ends_at_its_timeout() {
    let server = Server::with_models(|models| {
        models.settings(
            "scripted",
            "[instances]\nmax = 1\n[limits]\ncpu_time = '30s'\ndeadline = '30s'",
        );
        models.version("scripted", 1, scripted("version=1"));
    })
    .start();
    server.until_ready("scripted", 1);

    let spin = [field(1, b"behave"), field(2, &field(3, b"spin"))].concat();
    let request = framed(0, &[field(1, b"scripted"), field(4, &spin)].concat());
    for path in [INFER, STREAM] {
        let started = Instant::now();
        let outcome = call(&server, path, &[("grpc-timeout", "400m")], request.clone());
        assert_eq!(outcome.status, "4", "{outcome:?}");
        let taken = started.elapsed();
        assert!(Duration::from_millis(350) < taken && taken < Duration::from_secs(10), "{taken:?}");
    }
    let outcome = call(&server, INFER, &[("grpc-timeout", "soon")], request);
    assert_eq!(outcome.status, "3", "{outcome:?}");
}

#[test]
fn every_protocol_is_served_on_every_port() {
    let free = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let server = Server::with_models(|models| models.bare("iris", guest("iris")))
        .config(&format!("grpc_listen = '{free}'"))
        .start();
    server.until_ready("iris", 1);
    server.get("/v2/models/iris").ok();

    let mut other = RawClient::with_settings(free, &[]);
    other.request(1, "GET", "/v2/models/iris", &[]);
    assert!(other.until(DATA).is_some(), "the other port serves the same");

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let socket = TcpStream::connect(server.address()).await.unwrap();
        let io = TokioIo::new(socket);
        let (mut sender, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
        tokio::spawn(connection);
        let request = Request::get("http://localhost/v2/models/iris");
        let answer = sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await;
        let (head, body) = answer.unwrap().into_parts();
        let body = body.collect().await.unwrap().to_bytes();
        assert_eq!((head.status.as_u16(), head.version), (200, Version::HTTP_2));
        assert!(body.starts_with(b"{\"name\":\"iris\""), "{body:?}");

        let request = Request::get("http://evil.example/v2/models/iris");
        let answer = sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await;
        assert_eq!(answer.unwrap().status(), 403, "the host is checked");
    });

    for path in ["/no.such.Service/Check", "/v2/models/iris", "/"] {
        let outcome = call(&server, path, &[], framed(0, &[]));
        assert_eq!((outcome.http, &*outcome.status), (200, "12"), "{path}: {outcome:?}");
    }
}

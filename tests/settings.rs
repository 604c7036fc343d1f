//! Settings of the host, each by its effect on clients.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wardian::config::HttpConfig;

use crate::harness::{Models, Response, Server, scripted, until_some};

fn two(models: &Models) {
    models.bare("first", scripted("version=1"));
    models.bare("second", scripted("version=2"));
}

fn invoke(server: &Server, header: (&str, &str)) -> Response {
    server
        .call("POST", "/invocations")
        .header(header.0, header.1)
        .json(&json!({ "inputs": [] }))
        .send()
}

#[test]
fn a_request_without_model_uses_the_default() {
    const NAMES: &str = "x-amzn-sagemaker-target-model";
    let server = Server::with_models(two).config("default_model = 'first'").start();
    server.until_tried();
    assert_eq!(invoke(&server, ("accept", "*/*")).number("version"), 1);
    assert_eq!(invoke(&server, (NAMES, "second")).number("version"), 2);
    let server = server.stop().argument("--default-model").argument("second").start();
    server.until_tried();
    assert_eq!(
        invoke(&server, ("accept", "*/*")).number("version"),
        2,
        "the command line goes first"
    );
    let server = Server::with_models(two).start();
    server.until_tried();
    invoke(&server, ("accept", "*/*")).refused(400, "invalid_input");
}

/// Connects and sends this text, which may be all that is sent.
fn connect(server: &Server, say: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(say.as_bytes()).unwrap();
    stream
}

#[test]
fn late_headers_end_the_connection() {
    let server =
        Server::with_models(|_| {}).config("[http]\nheader_read_timeout = '100ms'").start();
    let start = Instant::now();
    let mut stream =
        connect(&server, "GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nx-half: ");
    let mut answer = Vec::new();
    // A connection that was reset has ended as well.
    let _ = stream.read_to_end(&mut answer);
    assert!(
        start.elapsed() < HttpConfig::default().header_read_timeout,
        "it took the default's time"
    );
    assert!(!answer.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&answer));
    server.get("/v2/health/live").ok();
}

/// Returns every line of a log as JSON.
fn lines(log: &str) -> Vec<Value> {
    let parse =
        |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error} in {line}"));
    log.lines().map(parse).collect()
}

#[test]
fn a_json_log_has_one_object_per_line() {
    const TRIED: &str = "every wanted model has been tried";
    let server = Server::with_models(|models| models.bare("scripted", scripted("version=7")));
    let server = server.config("[log]\nformat = 'json'").start();
    server.until_tried();
    server.until_logged(TRIED);
    server.terminate();
    assert!(server.until_ended().success());
    let lines = lines(&server.log());
    let line = |message: &str| lines.iter().find(|line| line["fields"]["message"] == message);
    assert_eq!(line(TRIED).map(|line| &line["level"]), Some(&json!("INFO")), "{lines:?}");
    let of_the_guest = line("scripted loads version 7").unwrap();
    assert_eq!(
        (&of_the_guest["target"], &of_the_guest["fields"]["model"]),
        (&json!("wardian::guest"), &json!("scripted"))
    );
    let text = server.kill().argument("--log-format").argument("text").start();
    text.until_logged(TRIED);
    assert!(
        text.log().lines().all(|line| !line.starts_with('{')),
        "the command line goes first: {}",
        text.log()
    );
}

#[test]
fn lines_of_a_request_carry_its_span_at_the_debug_level() {
    let server = Server::with_models(|models| models.bare("scripted", scripted("version=7")));
    let server = server.config("[log]\nformat = 'json'\nlevel = 'debug'").start();
    server.until_version_of("scripted", 7);
    let sent = server.call("POST", "/v2/models/scripted/infer").header("x-request-id", "the-one");
    sent.json(&json!({ "inputs": [] })).send().ok();

    // Requests that wait for the version are logged as well.
    let is_answered = |line: &Value| {
        line["fields"]["message"] == "answered" && line["span"]["request_id"] == "the-one"
    };
    let answered =
        until_some("the answer in the log", || lines(&server.log()).into_iter().find(is_answered));

    let span = json!({ "name": "request", "request_id": "the-one", "tenant": "default",
                       "model": "scripted", "version": "1" });
    assert_eq!(answered["span"], span);
}

//! The log of the server: its formats, and the fields of its lines.

use serde_json::{Value, json};

use crate::harness::{Server, scripted, until_some};

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

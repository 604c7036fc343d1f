//! `wardian bench`. The options determine how many requests are due, and with that how many
//! responses to expect.

use serde_json::json;

use super::{NOWHERE, ask, wardian};
use crate::harness::{Server, guest};

/// Ten requests, and none before the measurement.
const TEN: [&str; 8] =
    ["--connections", "2", "--rate", "20", "--duration", "500ms", "--warm-up", "0ms"];

fn server() -> Server {
    let server = Server::with_models(|models| models.bare("minimal", guest("minimal"))).start();
    server.until_ready("minimal", 1);
    server
}

#[test]
fn every_due_request_is_sent_and_reported() {
    let server = server();
    let output = ask(&server, "bench", &[&["minimal"], &TEN[..]].concat()).expect_code(0);
    output
        .expect_stdout(&[
            "model      minimal at http://127.0.0.1:",
            "/, 2 connections\nanswered   10 in 0.5 s: 20.0 requests/s\n",
        ])
        .expect_stdout(&[
            "\nlatency    mean ",
            "p99.9 ",
            "\nof which   queue ",
            " ms, by the server's account\n",
        ]);
    let output =
        ask(&server, "bench", &[&["minimal", "--input", "x=[1, 2]", "--json"], &TEN[..]].concat())
            .expect_code(0);
    let json = output.json();
    assert_eq!(
        (&json["answered"], &json["failed"], &json["rate"]),
        (&json!(10), &json!({}), &json!(20))
    );
    assert!(json["latency_ms"]["quantiles"]["p99"].as_f64().unwrap() > 0.0, "{json}");
    assert!(json["server_ms"]["compute"].as_f64().unwrap() > 0.0, "{json}");
}

#[test]
fn without_a_rate_connections_send_back_to_back() {
    let server = server();
    let often =
        ["minimal", "--connections", "2", "--duration", "300ms", "--warm-up", "0ms", "--json"];
    let json = ask(&server, "bench", &often).expect_code(0).json();
    assert!(json["answered"].as_u64().unwrap() >= 2 && json["rate"].is_null(), "{json}");
}

#[test]
fn server_errors_exit_with_code_3() {
    let server = server();
    let wrong = ["minimal", "--input", "x=[[1, 2]]"];
    let output = ask(&server, "bench", &[&wrong, &TEN[..]].concat()).expect_code(3);
    output.expect_stdout(&["answered   0 in 0.5 s", "\nfailed     10: 400 invalid_input\n"]);
    ask(&server, "bench", &["absent"])
        .expect_code(3)
        .expect_stderr(&["error: model 'absent': ", "(model_not_found, HTTP 404)"]);
    let json = ask(&server, "bench", &["absent", "--json"]).expect_code(3).json();
    assert_eq!(json["code"], "model_not_found");
}

#[test]
fn invalid_arguments_are_errors() {
    let server = server();
    wardian(server.directory(), &["bench", "minimal", "--url", NOWHERE])
        .expect_code(1)
        .expect_stderr(&["cannot connect"]);
    ask(&server, "bench", &["minimal", "--connections", "0"]).expect_code(2);
    ask(&server, "bench", &["minimal", "--duration", "soon"]).expect_code(2);
    ask(&server, "bench", &[]).expect_code(2).expect_stderr(&["Usage: wardian bench"]);
}

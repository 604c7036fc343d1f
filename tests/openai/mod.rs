//! OpenAI's API beside quotas, limits, deadlines and sessions. Its answers are in `protocols`, its
//! package in `clients`.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use crate::harness::{Response, Server, guest, guest_folder, until};

const CHAT: &str = "/v1/chat/completions";

/// Starts a server with the models `chat` and `embedder` and this configuration.
fn server(settings: &str, config: &str) -> Server {
    let setup = Server::with_models(|models| {
        models.settings("chat", settings);
        models.copy_folder(&guest_folder("chat"), "chat/1");
        models.settings("embedder", "[limits]\nrequest = '1kB'\n");
        models.version("embedder", 1, guest("embedder"));
    });
    let server = setup.config(config).start();
    server.until_ready("chat", 1);
    server.until_ready("embedder", 1);
    server
}

fn asked(most: u32) -> Value {
    let messages = json!([{ "role": "user", "content": "to be" }]);
    json!({ "model": "chat", "messages": messages, "temperature": 0, "max_tokens": most })
}

fn with(mut body: Value, name: &str, value: Value) -> Value {
    body[name] = value;
    body
}

#[track_caller]
fn content(response: &Response) -> String {
    let answer = response.ok().json();
    answer["choices"][0]["message"]["content"].as_str().unwrap().to_owned()
}

#[test]
fn a_used_up_quota_says_when_to_try_again() {
    let server = server("", "[tenants.default.quota]\nrequests_per_second = 3\n");
    let ask = || server.post(CHAT, &asked(1));

    let answers: Vec<_> = (0..40).map(|_| ask()).collect();
    let refused = answers.iter().find(|answer| answer.status == 429).expect("a refusal");
    assert!(refused.header("retry-after").is_some(), "{refused}");
    assert_eq!(refused.header("x-should-retry"), None, "{refused}");
    let error = &refused.json()["error"];
    assert_eq!(
        (&error["type"], &error["code"]),
        (&json!("rate_limit_error"), &json!("quota_exceeded"))
    );

    until("another answer", || ask().status == 200);
}

#[test]
fn a_request_counts_once() {
    let server = server("", "[tenants.default.quota]\nconcurrency = 1\n");
    for _ in 0..3 {
        server.post(CHAT, &asked(1)).ok();
        server.post("/v1/embeddings", &json!({ "model": "embedder", "input": "cat" })).ok();
    }

    let running = server.call("POST", CHAT).json(&asked(1000)).begin();
    server.until_busy("chat", 1);
    server.post(CHAT, &asked(1)).refused(429, "quota_exceeded");
    running.hang_up();
    until("a free place", || server.post(CHAT, &asked(1)).status == 200);
}

#[test]
fn a_fault_that_would_repeat_is_not_tried_again() {
    let server = server("[streaming]\ndeadline = '50ms'\n", "");
    let late = server.post(CHAT, &asked(1000));
    late.refused(504, "deadline_exceeded");
    assert_eq!(late.header("x-should-retry"), Some("false"));
    assert_eq!(late.json()["error"]["type"], "server_error");

    let header = server.call("POST", CHAT).header("wardian-deadline-ms", "1");
    header.json(&asked(1000)).send().refused(504, "deadline_exceeded");
    server.post(CHAT, &with(asked(1000), "timeout", json!(1))).refused(504, "deadline_exceeded");
}

/// The model would go on until the end of the test.
#[test]
fn a_stop_sequence_ends_the_call_of_the_model() {
    let settings = "[instances]\nmax = 1\n[streaming]\ndeadline = '10m'\ncpu_time = '10m'\n";
    let server = Server::with_models(|models| {
        models.settings("streamer", settings);
        models.version("streamer", 1, guest("streamer"));
    });
    let server = server.start();
    server.until_ready("streamer", 1);

    let body = json!({ "text_input": "x", "then": "spin", "stop": ["1 x"] });
    for _ in 0..2 {
        assert_eq!(server.generate("streamer", &body).ok().json()["text_output"], "x0 x");
        server.until_busy("streamer", 0);

        let events = server.stream("streamer", &body).all();
        let texts: String =
            events.iter().filter_map(|event| event["text_output"].as_str()).collect();
        assert_eq!(texts, "x0 x");
        server.until_busy("streamer", 0);
    }
    assert_eq!(server.metric("wardian_request_failures_total{").unwrap_or(0.0), 0.0);

    let statistics = server.get("/v2/models/streamer/stats").json();
    let counted = &statistics["model_stats"][0];
    assert_eq!((&counted["inference_count"], &counted["execution_count"]), (&json!(4), &json!(4)));
}

#[test]
fn the_limit_of_the_body_is_the_models() {
    let server = server("", "");
    let long = json!({ "model": "embedder", "input": "a".repeat(2000) });
    let refused = server.post("/v1/embeddings", &long);
    refused.refused(413, "request_too_large");
    assert_eq!(refused.json()["error"]["type"], "invalid_request_error");

    let messages = json!([{ "role": "user", "content": "a".repeat(100_000) }]);
    server.post(CHAT, &with(asked(1), "messages", messages)).ok();
    let huge = json!([{ "role": "user", "content": "a".repeat(17 << 20) }]);
    server.post(CHAT, &with(asked(1), "messages", huge)).refused(413, "request_too_large");
}

#[test]
fn a_body_may_be_compressed() {
    let server = server("", "");
    let send = |body: &[u8]| {
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(body).unwrap();
        let call = server.call("POST", CHAT).header("content-encoding", "gzip");
        call.body(encoder.finish().unwrap()).send()
    };

    assert_eq!(content(&send(asked(4).to_string().as_bytes())), " The");
    send(&vec![b' '; 50_000_000]).refused(413, "request_too_large");
    let cut = server.call("POST", CHAT).header("content-encoding", "gzip").body("cut").send();
    cut.refused(400, "invalid_input");
}

#[test]
fn a_session_goes_on() {
    let server = server("", "");
    let body = |id: &str| with(asked(20), "sequence_id", json!(id));
    let begin = |id: &str| with(body(id), "sequence_start", json!(true));

    let first = content(&server.post(CHAT, &begin("a")));
    let second = content(&server.post(CHAT, &body("a")));
    assert_ne!(first, second, "the model has read what was said before");
    assert_eq!(first, content(&server.post(CHAT, &begin("b"))));
    server.post(CHAT, &body("c")).refused(400, "invalid_input");
}

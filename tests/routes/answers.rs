//! Answers: bytes, streams, methods, limits, and the metrics of requests.

use serde_json::json;

use super::{VERSION, server};
use crate::harness::{Server, guest_folder, until};

const ECHO: &str = "[[routes]]\npath = '/echo'\nmethod = 'POST'\nbody = 'raw'\n\
    inputs = { text = 'body' }\nanswer = 'raw'\noutputs = 'text'\n\
    content_type = 'image/png'\nstatus = 201\n[limits]\nrequest = '64KiB'\n";

#[test]
fn an_image_goes_in_and_out_as_it_is() {
    let server = server(ECHO);
    let image: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    for call in [server.call("POST", "/echo"), server.call("POST", "/echo").chunked()] {
        let response = call.header("content-type", "image/png").body(image.clone()).send();
        assert_eq!((response.status, response.header("content-type")), (201, Some("image/png")));
        assert!(response.body == image, "the bytes are the same");
    }
    assert_eq!(server.call("POST", "/echo").body("").send().body, b"");

    let large = server.call("POST", "/echo").body(vec![0; 70_000]).send();
    large.refused(413, "request_too_large");
}

#[test]
fn a_form_with_a_file_goes_in() {
    let route = ECHO.replace("'raw'\ninputs", "'multipart'\ninputs").replace("'body'", "'file'");
    let server = server(&route);
    let image: Vec<u8> = (0..=255).cycle().take(60_000).collect();
    let form = |name: &str, content: &[u8]| {
        let head = format!(
            "--x-1\r\ncontent-disposition: form-data; name=\"{name}\"; filename=\"a.png\"\r\n\r\n"
        );
        [head.as_bytes(), content, b"\r\n--x-1--\r\n"].concat()
    };
    let call = |kind: &str| server.call("POST", "/echo").header("content-type", kind);
    let multipart = "multipart/form-data; boundary=\"x-1\"";

    let response = call(multipart).body(form("file", &image)).send();
    assert_eq!(response.status, 201, "{response}");
    assert!(response.body == image, "the bytes are the same");

    let unknown = call(multipart).body(form("fil", b"a")).send();
    unknown.refused(400, "invalid_input");
    assert!(unknown.text().contains("unknown field 'fil'; did you mean 'file'?"), "{unknown}");
    call(multipart).body(form("file", &[0; 70_000])).send().refused(413, "request_too_large");
    for kind in ["multipart/form-data", "multipart/mixed; boundary=x-1", "application/json"] {
        let refused = call(kind).body(form("file", b"a")).send();
        refused.refused(415, "unsupported_media_type");
    }
    call("multipart/form-data; boundary=y")
        .body(form("file", b"a"))
        .send()
        .refused(400, "invalid_input");
}

#[test]
fn numbers_go_in_and_out_as_bytes() {
    let server = Server::with_models(|models| {
        models.settings(
            "minimal",
            "[[routes]]\npath = '/double'\nmethod = 'POST'\nbody = 'raw'\ninputs = { x = 'body' }\nanswer = 'raw'",
        );
        models.version("minimal", 1, crate::harness::guest("minimal"));
    })
    .start();
    server.until_ready("minimal", 1);

    let floats = |values: &[f32]| values.iter().flat_map(|value| value.to_le_bytes()).collect();
    let (sent, doubled): (Vec<u8>, Vec<u8>) = (floats(&[1.5, -2.0]), floats(&[3.0, -4.0]));
    let response = server.call("POST", "/double").body(sent).send();
    response.ok();
    assert_eq!(response.body, doubled);
    assert_eq!(response.header("content-type"), Some("application/octet-stream"));
    server.call("POST", "/double").body("123").send().refused(400, "invalid_input");
}

#[test]
fn methods_that_no_route_has_are_listed() {
    let post =
        "[[routes]]\nmethod = 'POST'\npath = '/version-of/{name}'\nparameters = { name = 'name' }";
    let server = server(&format!("{VERSION}{post}"));
    let path = "/version-of/a";

    let refused = server.call("PATCH", path).send();
    refused.refused(405, "method_not_allowed");
    assert_eq!(refused.header("allow"), Some("GET,POST,HEAD"));
    let options = server.call("OPTIONS", path).send();
    assert_eq!((options.status, options.header("allow")), (204, Some("GET,POST,HEAD")));
    assert_eq!(options.body, b"");

    let whole = server.get(path).ok().body.len().to_string();
    assert_eq!(server.call("HEAD", path).send_head(), (200, whole));
    assert_eq!(server.call("HEAD", "/nowhere").send_head().0, 404);
}

#[test]
fn a_parameter_takes_the_rest_of_a_path() {
    let rest = "[[routes]]\npath = '/files/{text:path}'\noutputs = 'text'\n";
    let one = "[[routes]]\npath = '/files/{text}'\noutputs = 'version'\n";
    let server = server(&format!("{rest}{one}"));
    assert_eq!(server.get("/files/a/b%20c/d.txt").ok().json(), json!("a/b c/d.txt"));
    assert_eq!(server.get("/files/a/").ok().json(), json!("a/"));
    assert_eq!(server.get("/files/a").ok().json(), 1);
    for none in ["/files/", "/files", "/files/a/../b", "/files/a/%2e%2e/b", "/files/a/b%2Fc"] {
        server.get(none).refused(404, "not_found");
    }

    let document = server.get("/v2/models/scripted/openapi.json").ok().json();
    let paths = document["paths"].as_object().unwrap();
    let routes: Vec<_> = paths.keys().filter(|path| !path.starts_with("/v2/")).collect();
    assert_eq!(routes, ["/files/{text}"]);
    let listed = &server.config_of("scripted")["wardian"]["routes"];
    assert_eq!(*listed, json!(["GET /files/{text:path}", "GET /files/{text}"]));
}

#[test]
fn requests_count_like_all_others() {
    let server = server(VERSION);
    let before = server.metric("wardian_requests_total").unwrap_or(0.0);
    let answer = server.get("/version-of/caf%C3%A9");
    answer.ok();
    assert_eq!(answer.json(), json!({ "version": 1, "text": "café" }));
    assert!(answer.header("server-timing").unwrap().contains("compute;dur="), "{answer}");
    assert!(answer.header("x-request-id").is_some());
    until("that the request is counted", || {
        server.metric("wardian_requests_total").unwrap_or(0.0) > before
    });

    server.get("/version-of/a?do=reject").refused(422, "model_rejected_input");
    server.get("/version-of/a?do=trap").refused(500, "model_trapped");
    let late = server.call("GET", "/version-of/a?do=spin").header("wardian-deadline-ms", "50");
    late.send().refused(504, "deadline_exceeded");
    assert!(server.metric("wardian_request_failures_total").unwrap() >= 3.0);
}

#[test]
fn a_stream_is_sent_as_events() {
    let server = Server::with_models(|models| {
        models.settings(
            "chat",
            "[[routes]]\npath = '/chat/{session}'\nquery = ['q', { tokens = 20 }]\nstream = true\n\
             inputs = { text_input = 'q' }\noutputs = 'text_output'\n\
             parameters = { sequence_id = 'session', sequence_start = 'start', max_tokens = 'tokens', temperature = 't' }\n\
             [[routes]]\npath = '/whole'\nmethod = 'POST'\nbody = 'json'\noutputs = 'text_output'\n\
             parameters = { max_tokens = 'max_tokens', temperature = 't' }"
                .replace("{ tokens = 20 }", "{ tokens = 20, t = 0, start = false }")
                .as_str(),
        );
        models.copy_folder(&guest_folder("chat"), "chat/1");
    })
    .start();
    server.until_ready("chat", 1);

    let mut events = server.call("GET", "/chat/s?q=to%20be&start=true").begin().events();
    assert_eq!(events.header("content-type"), Some("text/event-stream; charset=utf-8"));
    assert_eq!(events.header("x-accel-buffering"), Some("no"));
    assert_eq!(events.header("cache-control"), Some("no-cache"));
    let mut text = String::new();
    let mut parts = 0;
    while let Some(part) = events.next_event() {
        // The last part has no text.
        text.push_str(part.as_str().unwrap_or_default());
        parts += 1;
    }
    assert!(parts > 1, "{text:?} came in {parts} parts");

    let whole = json!({ "text_input": "to be", "max_tokens": 20, "t": 0 });
    assert_eq!(server.post("/whole", &whole).ok().json(), json!(text));
    // The session has the conversation.
    let sessions = server.get("/v2/models/chat/sessions").ok().text();
    assert!(sessions.contains("\"s\""), "{sessions}");

    let refused = server.get("/chat/s?q=a&tokens=0");
    refused.refused(422, "model_rejected_input");
    server.get("/chat/s").refused(400, "invalid_input");
}

#[test]
fn large_answers_are_compressed_for_those_who_ask() {
    let server = server(&ECHO.replace("image/png", "text/plain").replace("status = 201", ""));
    let text = "to be or not to be ".repeat(1000);
    let call = server.call("POST", "/echo").header("accept-encoding", "gzip").body(text.as_str());
    let response = call.send();
    response.ok();
    assert_eq!(response.header("content-encoding"), Some("gzip"));
    assert!(response.body.len() < text.len() / 2);
}

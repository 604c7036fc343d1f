//! WebSocket connections to a route: each message is a request.

use serde_json::json;

use super::{add, server};
use crate::harness::{BINARY, CLOSE, PING, PONG, Server, WebSocket, guest, scripted, until};
use crate::tenants::key;

/// A route of the scripted model whose messages say what to do.
const ECHO: &str = "[[routes]]\npath = '/echo/{name}'\nquery = ['x']\nwebsocket = true\n\
    body = 'json'\ninputs = { text = 'name' }\nparameters = { behave = 'do' }\n\
    outputs = { version = 'version', text = 'text' }\n";

fn connect(server: &Server, path: &str) -> WebSocket {
    server.call("GET", path).connect()
}

/// Starts a server with `streamer` behind a route.
fn streamer(keys: &str) -> Server {
    let server = Server::with_models(|models| {
        let route = "[[routes]]\npath = '/parts'\nwebsocket = true\nstream = true\nbody = 'json'\n\
            inputs = { text_input = 'text' }\nparameters = { parts = 'parts', size = 'size', \
            then = 'then', before_ms = 'before' }\n";
        models.settings("streamer", &format!("{route}{keys}"));
        models.version("streamer", 1, guest("streamer"));
    })
    .start();
    server.until_ready("streamer", 1);
    server
}

#[test]
fn each_message_is_a_request() {
    let server = server(ECHO);
    let mut socket = connect(&server, "/echo/caf%C3%A9?x=1");
    assert_eq!(socket.header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    assert!(socket.header("x-request-id").is_some());

    let before = server.metric("wardian_requests_total").unwrap_or(0.0);
    for _ in 0..3 {
        assert_eq!(socket.ask("{}"), json!({ "version": 1, "text": "café" }));
    }
    until("that the messages are counted", || {
        server.metric("wardian_requests_total") == Some(before + 3.0)
    });

    socket.send_frame(CLOSE, &1001_u16.to_be_bytes());
    assert_eq!(socket.closed(), 1000);
}

#[test]
fn an_error_of_the_caller_leaves_the_connection_open() {
    let server = server(ECHO);
    let mut socket = connect(&server, "/echo/a");
    for (message, code) in [
        ("", "invalid_input"),
        ("[1]", "invalid_input"),
        ("{\"dou\": \"x\"}", "invalid_input"),
        ("{\"do\": \"reject\"}", "model_rejected_input"),
    ] {
        assert_eq!(socket.ask(message)["code"], code, "{message}");
    }
    let refused = socket.ask("{\"dou\": \"x\"}");
    let text = refused["error"].as_str().unwrap();
    assert!(text.contains("unknown field 'dou'; did you mean 'do'?"), "{text}");
    socket.send_frame(BINARY, b"{}");
    assert_eq!(socket.error(), "unsupported_media_type");
    assert_eq!(socket.ask("{}")["version"], 1);
}

#[test]
fn an_error_of_the_model_closes_the_connection() {
    let server = server(ECHO);
    let mut socket = connect(&server, "/echo/a");
    assert_eq!(socket.ask("{\"do\": \"trap\"}")["code"], "model_trapped");
    assert_eq!(socket.closed(), 1011);

    let late = server.call("GET", "/echo/a").header("wardian-deadline-ms", "50");
    let mut socket = late.connect();
    assert_eq!(socket.ask("{\"do\": \"spin\"}")["code"], "deadline_exceeded");
    assert_eq!(socket.closed(), 1011);
}

#[test]
fn bytes_go_in_and_out_as_they_are() {
    let route = |path: &str, keys: &str| {
        format!(
            "[[routes]]\npath = '{path}'\nwebsocket = true\nbody = 'raw'\n\
             inputs = {{ text = 'body' }}\nanswer = 'raw'\noutputs = 'text'\n{keys}\n"
        )
    };
    let texts = route("/texts", "content_type = 'text/plain'");
    let server = server(&format!("{}{texts}", route("/bytes", "")));

    let image: Vec<u8> = (0..=255).cycle().take(200_000).collect();
    let mut socket = connect(&server, "/bytes");
    socket.send_frame(BINARY, &image);
    assert!(socket.next_frame() == (BINARY, image), "the bytes are the same");
    socket.send("text");
    assert_eq!(socket.next_frame(), (BINARY, b"text".to_vec()));
    socket.send_frame(BINARY, b"");
    assert_eq!(socket.next_frame(), (BINARY, Vec::new()));

    let mut socket = connect(&server, "/texts");
    socket.send_frame(BINARY, "é".as_bytes());
    assert_eq!(socket.text(), "é");
    socket.send_frame(BINARY, b"\xff");
    assert_eq!(socket.error(), "model_bad_output");
    assert_eq!(socket.closed(), 1011);
}

#[test]
fn each_part_of_a_stream_is_a_message() {
    let server = streamer("");
    let mut socket = connect(&server, "/parts");
    for _ in 0..2 {
        socket.send("{\"text\": \"a\", \"parts\": 3}");
        for index in 0..3 {
            assert_eq!(socket.json()["index"], index);
        }
        assert_eq!(socket.text(), "", "the end");
    }

    // An error before the first part, and one after it.
    socket.send("{\"text\": \"a\", \"parts\": 0, \"then\": \"reject\"}");
    assert_eq!(socket.error(), "model_rejected_input");
    socket.send("{\"text\": \"a\", \"parts\": 1, \"then\": \"reject\"}");
    assert_eq!(socket.json()["index"], 0);
    assert_eq!(socket.error(), "model_rejected_input");
    socket.send("{\"text\": \"a\", \"parts\": 1, \"then\": \"trap\"}");
    assert_eq!(socket.json()["index"], 0);
    assert_eq!(socket.error(), "model_trapped");
    assert_eq!(socket.closed(), 1011);
}

#[test]
fn a_client_that_leaves_cancels_its_request() {
    let server = streamer("[streaming]\ndeadline = '10m'\ncpu_time = '10m'\n");
    let open = || server.metric("wardian_streams_open");
    for leave in [true, false] {
        let mut socket = connect(&server, "/parts");
        socket.send("{\"text\": \"a\", \"parts\": 1, \"then\": \"spin\"}");
        assert_eq!(socket.json()["index"], 0);
        if leave {
            socket.send_frame(CLOSE, b"");
            assert_eq!(socket.closed(), 1000);
        } else {
            drop(socket);
        }
        until("that the stream is cancelled", || open() == Some(0.0));
        server.until_busy("streamer", 0);
    }
}

#[test]
fn messages_are_answered_in_order_and_pings_meanwhile() {
    let server = server(ECHO);
    let mut socket = connect(&server, "/echo/a");
    socket.send("{\"do\": \"sleep:300\"}");
    socket.send_frame(PING, b"there?");
    assert_eq!(socket.next_frame(), (PONG, b"there?".to_vec()));
    assert_eq!(socket.json()["version"], 1);

    // All at once, in frames and between control frames.
    socket.send("{\"do\": \"sleep:50\"}");
    socket.send_frame(0x01, b"{\"do\"");
    socket.send_frame(PONG, b"");
    socket.send_frame(0x80, b": \"reject\"}");
    socket.send("{}");
    assert_eq!(socket.json()["version"], 1);
    assert_eq!(socket.error(), "model_rejected_input");
    assert_eq!(socket.json()["version"], 1);
}

#[test]
fn a_connection_can_be_a_session() {
    let server = Server::with_models(|models| {
        models.settings(
            "session-words",
            "[[routes]]\npath = '/words'\nwebsocket = true\nsession = true\nbody = 'json'\n\
             parameters = { do = 'do' }\noutputs = 'state'\n",
        );
        models.version("session-words", 1, guest("session-words"));
    })
    .start();
    server.until_ready("session-words", 1);
    let sessions = || {
        let listed = server.get("/v2/models/session-words/sessions").ok().json();
        listed["sessions"].as_array().unwrap().len()
    };
    let say = |socket: &mut WebSocket, word: &str| {
        socket.ask(&json!({ "do": format!("say {word}") }).to_string())
    };

    let mut one = connect(&server, "/words");
    let mut other = connect(&server, "/words");
    assert_eq!(sessions(), 0);
    // The session begins with the first message that is answered.
    assert_eq!(one.ask("{\"do\": \"reject\"}")["code"], "model_rejected_input");
    assert_eq!(say(&mut one, "a"), "a");
    assert_eq!(say(&mut other, "x"), "x");
    assert_eq!(say(&mut one, "b"), "a b");
    assert_eq!(one.ask("{\"do\": \"reject\"}")["code"], "model_rejected_input");
    assert_eq!(say(&mut one, "c"), "a b c");

    // It outlives the version.
    server.models().version("session-words", 2, guest("session-words"));
    server.until_ready("session-words", 2);
    assert_eq!(say(&mut one, "d"), "a b c d");
    assert_eq!(sessions(), 2);

    one.send_frame(CLOSE, b"");
    assert_eq!(one.closed(), 1000);
    until("that the session has ended", || sessions() == 1);
    // It ends without a close frame, too.
    drop(other);
    until("that the other session has ended", || sessions() == 0);
}

#[test]
fn a_message_is_answered_by_the_newest_version() {
    let server = server(ECHO);
    let mut socket = connect(&server, "/echo/a");
    assert_eq!(socket.ask("{}")["version"], 1);
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_ready("scripted", 2);
    assert_eq!(socket.ask("{}")["version"], 2);

    server.models().settings("scripted", &ECHO.replace("/echo", "/other"));
    until("the new route", || server.get("/other/a").status == 426);
    socket.send("{}");
    assert_eq!(socket.closed(), 1012);

    let mut socket = connect(&server, "/other/a");
    server.unload("scripted").ok();
    socket.send("{}");
    assert_eq!(socket.closed(), 1012);
}

#[test]
fn the_key_is_in_the_handshake_and_looked_up_for_each_message() {
    let keys = |keys: &[&str]| format!("[tenants.default]\nkeys = [{}]\n", keys.join(", "));
    let (infer, manage) = (key("infer", &["infer"]), key("manage", &["manage"]));
    let server = Server::with_models(|models| add(models, "scripted", ECHO))
        .config(&keys(&[&infer, &manage]))
        .start();
    let index = || server.holder("manage").call("POST", "/v2/repository/index").send().text();
    until("that the model serves", || index().contains("READY"));

    server.call("GET", "/echo/a").connect_refused().refused(401, "unauthenticated");
    server.holder("wrong").call("GET", "/echo/a").connect_refused().refused(401, "unknown_key");
    server.holder("manage").call("GET", "/echo/a").connect_refused().refused(403, "forbidden");
    // Browsers cannot set a header, but they can name subprotocols.
    let browser = |key: &str| {
        let offered = format!("wardian, wardian.key.{key}");
        server.call("GET", "/echo/a").header("sec-websocket-protocol", &offered)
    };
    browser("wrong").connect_refused().refused(401, "unknown_key");
    let mut socket = browser("infer").connect();
    assert_eq!(socket.header("sec-websocket-protocol"), Some("wardian"));
    // With keys, pages of any origin may connect.
    let foreign = server.holder("infer").call("GET", "/echo/a");
    let mut foreign = foreign.header("origin", "https://elsewhere.example").connect();
    assert_eq!(foreign.ask("{}")["version"], 1);
    assert_eq!(socket.ask("{}")["version"], 1);

    let changed = keys(&[&manage]);
    std::fs::write(server.directory().join("wardian.toml"), changed).unwrap();
    server.reload();
    until("that the key is gone", || {
        server.holder("infer").call("GET", "/echo/a").send().status == 401
    });
    socket.send("{}");
    assert_eq!(socket.error(), "unknown_key");
    assert_eq!(socket.closed(), 1008);
}

#[test]
fn foreign_pages_cannot_connect_to_a_server_without_keys() {
    let server = server(ECHO);
    for (name, value) in [
        ("origin", "https://evil.example"),
        ("origin", "null"),
        ("origin", "http://localhost:1"),
        ("sec-fetch-site", "cross-site"),
    ] {
        let refused = server.call("GET", "/echo/a").header(name, value).connect_refused();
        refused.refused(403, "forbidden_origin");
    }
    let rebound = server.call("GET", "/echo/a").host("evil.example").connect_refused();
    rebound.refused(403, "forbidden_host");
    let own = format!("http://{}", server.address());
    let mut socket = server.call("GET", "/echo/a").header("origin", &own).connect();
    assert_eq!(socket.ask("{}")["version"], 1);
}

#[test]
fn what_is_no_handshake_is_refused() {
    let server = server(ECHO);
    let plain = server.get("/echo/a");
    plain.refused(426, "upgrade_required");
    assert_eq!(plain.header("upgrade"), Some("websocket"));
    assert_eq!(plain.header("sec-websocket-version"), Some("13"));
    assert_eq!(server.call("HEAD", "/echo/a").send_head().0, 426);
    server.call("POST", "/echo/a").connect_refused().refused(405, "method_not_allowed");

    let call = || server.call("GET", "/echo/a");
    call().header("sec-websocket-key", "again").connect_refused().refused(400, "invalid_input");
    call().body("{}").connect_refused().refused(400, "invalid_input");
    let unknown = server.call("GET", "/echo/a?y=1").connect_refused();
    unknown.refused(400, "invalid_input");
    assert!(unknown.text().contains("unknown query parameter 'y'"), "{unknown}");
    server.call("GET", "/echo/a?x=many").connect_refused().refused(400, "invalid_input");
    server.call("GET", "/nowhere").connect_refused().refused(404, "not_found");
    // A route without WebSocket answers as ever.
    assert_eq!(server.call("GET", "/v2/health/live").connect_refused().status, 200);
}

#[test]
fn a_stopping_server_answers_the_last_message_and_closes() {
    let server = server(ECHO);
    let mut idle = connect(&server, "/echo/a");
    let mut busy = connect(&server, "/echo/b");
    assert_eq!(idle.ask("{}")["text"], "a");
    busy.send("{\"do\": \"sleep:500\"}");
    server.until_busy("scripted", 1);
    server.terminate();
    assert_eq!(idle.closed(), 1001);
    assert_eq!(busy.json(), json!({ "version": 1, "text": "b" }));
    assert_eq!(busy.closed(), 1001);
    assert!(server.until_ended().success());
    assert!(server.log().contains("drained"), "{}", server.log());
}

#[test]
fn the_messages_are_described() {
    let server = server(ECHO);
    let document = server.get("/v2/models/scripted/openapi.json").ok().json();
    let route = &document["paths"]["/echo/{name}"]["get"];
    assert!(route["responses"]["101"].is_object(), "{route}");
    assert!(route["requestBody"].is_null());
    let messages = &route["x-websocket"];
    let received = &messages["receives"]["application/json"]["schema"]["properties"];
    assert!(received["do"].is_object(), "{messages}");
    let sent = &messages["sends"]["application/json"]["schema"]["properties"];
    assert_eq!(sent["version"]["type"], "integer", "{messages}");
}

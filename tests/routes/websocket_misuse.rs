//! Clients of WebSocket connections that break the protocol, exceed a limit, or do nothing.

use std::io::Write;
use std::net::TcpStream;

use serde_json::json;

use super::add;
use crate::harness::{CLOSE, PING, PONG, Server, Setup, TEXT, WebSocket, frame, guest, until};

const ROUTE: &str = "[[routes]]\npath = '/echo'\nwebsocket = true\nbody = 'json'\n\
    parameters = { behave = 'do' }\noutputs = 'version'\n[limits]\nrequest = '64KiB'\n";

fn setup() -> Setup {
    Server::with_models(|models| add(models, "scripted", ROUTE))
}

fn server(config: &str) -> Server {
    let server = setup().config(config).start();
    server.until_ready("scripted", 1);
    server
}

fn connect(server: &Server) -> WebSocket {
    server.call("GET", "/echo").connect()
}

#[test]
fn violations_close_the_connection() {
    let server = server("");
    let fragments = [frame(0x01, b"{"), frame(TEXT, b"}")].concat();
    for (bytes, code) in [
        (vec![TEXT, 2, b'{', b'}'], 1002),
        (frame(0x83, b""), 1002),
        (frame(0xc1, b"{}"), 1002),
        (frame(0x80, b"{}"), 1002),
        (fragments, 1002),
        (frame(0x09, b""), 1002),
        (frame(PING, &[0; 126]), 1002),
        (frame(CLOSE, &[3]), 1002),
        (frame(CLOSE, &1005_u16.to_be_bytes()), 1002),
        (frame(TEXT, b"\"\xff\""), 1007),
        (frame(TEXT, b"\"\xc3"), 1007),
        (b"GET / HTTP/1.1\r\n\r\n".to_vec(), 1002),
        (vec![0; 100], 1002),
        (vec![0xff; 100], 1002),
    ] {
        let mut socket = connect(&server);
        socket.send_bytes(&bytes);
        assert_eq!(socket.closed(), code, "{bytes:?}");
    }
    assert_eq!(connect(&server).ask("{}"), 1);
}

#[test]
fn messages_are_bounded() {
    let server = server("");
    let text = |length: usize| format!("{{{}}}", " ".repeat(length - 2));
    let mut socket = connect(&server);
    assert_eq!(socket.ask(&text(64 << 10)), 1);

    // The head of a frame is enough.
    let too_large = frame(TEXT, text((64 << 10) + 1).as_bytes());
    for bytes in [&too_large[..], &too_large[..14], &[TEXT, 0xff, 0x7f, 255, 255, 255, 255, 255]] {
        let mut socket = connect(&server);
        socket.send_bytes(bytes);
        socket.send_bytes(&[255; 6]);
        assert_eq!(socket.error(), "request_too_large");
        assert_eq!(socket.closed(), 1009);
    }

    let mut socket = connect(&server);
    socket.send_frame(0x01, &[b' '; 40 << 10]);
    socket.send_frame(0x80, &[b' '; 40 << 10]);
    assert_eq!(socket.error(), "request_too_large");
    assert_eq!(socket.closed(), 1009);

    let mut socket = connect(&server);
    socket.send_frame(0x01, b"");
    socket.send_bytes(&frame(0x00, b"").repeat(1 << 16));
    assert_eq!(socket.closed(), 1009);
}

#[test]
fn a_flood_of_control_frames_closes_the_connection() {
    let server = server("");
    let mut socket = connect(&server);
    socket.send_bytes(&frame(PING, b"").repeat(1000));
    let code = loop {
        let (first, payload) = socket.next_frame();
        match first {
            PONG => assert_eq!(payload, b""),
            _ => break u16::from_be_bytes([payload[0], payload[1]]),
        }
    };
    assert_eq!(code, 1008);
}

#[test]
fn a_flood_of_messages_is_stopped_by_the_socket() {
    let server = server("");
    let mut socket = connect(&server);
    // One is under way and one is read ahead.
    socket.send("{\"do\": \"sleep:600000\"}");
    server.until_busy("scripted", 1);
    let flood = frame(TEXT, &[b' '; 60_000]);
    socket.until_full(&flood);
    assert_eq!(server.metric("wardian_connections_open"), Some(2.0));
    drop(socket);
    connect(&server).ask("{}");
}

#[test]
fn the_memory_of_messages_counts_against_the_quota() {
    let setup = Server::with_models(|_| {}).config(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\n[tenants.a.quota]\nmemory = '70MiB'\n",
    );
    let settings = ROUTE.replace("64KiB", "64MiB");
    add(&setup.repository("a"), "scripted", &format!("{settings}memory = '16MiB'\n"));
    let server = setup.start();
    server.tenant("a").until_ready("scripted", 1);
    let connect = || server.tenant("a").call("GET", "/echo").connect();

    // None of them is whole.
    let part = &frame(TEXT, &vec![b' '; 63 << 20])[..40 << 20];
    let mut first = connect();
    first.send_bytes(part);
    until("that its bytes count", || server.tenant("a").holds("memory") >= 39 << 20);
    let mut second = connect();
    second.send_bytes(part);
    assert_eq!(second.json()["quota"], "memory");
    assert_eq!(second.closed(), 1013);
    drop(first);
    until("that they no longer count", || server.tenant("a").holds("memory") < 1 << 20);
    assert_eq!(connect().ask("{}"), 1);
}

#[test]
fn a_silent_client_is_asked_and_then_closed() {
    let server = server("[http]\nkeep_alive = '1s'\n");
    let mut silent = connect(&server);
    assert_eq!(silent.next_frame(), (PING, Vec::new()));
    assert_eq!(silent.closed(), 1008);

    let mut answers = connect(&server);
    for _ in 0..4 {
        assert_eq!(answers.next_frame(), (PING, Vec::new()));
        answers.send_frame(PONG, b"");
    }
    // A client is also asked while it waits for an answer.
    answers.send("{\"do\": \"sleep:5000\"}");
    server.until_busy("scripted", 1);
    assert_eq!(answers.next_frame(), (PING, Vec::new()));
    answers.send_frame(PONG, b"");
}

#[test]
fn a_client_that_does_not_read_is_cut_off() {
    let server = Server::with_models(|models| {
        models.settings(
            "streamer",
            "[[routes]]\npath = '/parts'\nwebsocket = true\nstream = true\nbody = 'json'\n\
             inputs = { text_input = 'text' }\nparameters = { parts = 'parts', size = 'size' }\n\
             [streaming]\ntotal = '1GiB'\ndeadline = '10m'\ncpu_time = '10m'\n[limits]\nresponse = '64MiB'\n",
        );
        models.version("streamer", 1, guest("streamer"));
    })
    .config("[http]\nwrite_timeout = '300ms'\n")
    .start();
    server.until_ready("streamer", 1);

    let mut socket = server.call("GET", "/parts").connect();
    socket.send("{\"text\": \"a\", \"parts\": 1000, \"size\": 1048576}");
    until("that it is cut off", || {
        server.metric("wardian_connections_closed_total{reason=\"timeout\"}") == Some(1.0)
    });
    until("the end of its stream", || server.metric("wardian_streams_open") == Some(0.0));
}

#[test]
fn quotas_hold_for_each_message() {
    let setup = Server::with_models(|_| {}).config(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\n[tenants.a.quota]\nconcurrency = 1\n",
    );
    add(&setup.repository("a"), "scripted", ROUTE);
    let server = setup.start();
    let tenant = server.tenant("a");
    tenant.until_ready("scripted", 1);

    let mut one = tenant.call("GET", "/echo").connect();
    let mut other = tenant.call("GET", "/echo").connect();
    assert_eq!(tenant.holds("concurrency"), 0, "open connections take no place");
    one.send("{\"do\": \"sleep:600000\"}");
    until("that the message is under way", || tenant.holds("concurrency") == 1);
    let refused = other.ask("{}");
    assert_eq!(
        (&refused["code"], &refused["quota"]),
        (&json!("quota_exceeded"), &json!("concurrency"))
    );
    tenant.call("GET", "/echo").connect_refused().refused(429, "quota_exceeded");
    drop(one);
    until("that the message is cancelled", || tenant.holds("concurrency") == 0);
    assert_eq!(other.ask("{}"), 1);
}

#[test]
fn connections_that_wait_make_room_for_others() {
    let server = server("[http]\nmax_connections = 8\n");
    let mut sockets: Vec<_> = (0..8).map(|_| connect(&server)).collect();
    assert_eq!(connect(&server).ask("{}"), 1);
    let closed = server.metric("wardian_connections_closed_total{reason=\"room\"}").unwrap();
    assert!(closed >= 1.0);
    drop(sockets.pop());
}

#[test]
fn connections_that_are_cut_off_leave_nothing_behind() {
    let server = server("");
    let whole = frame(TEXT, b"{\"do\": \"sleep:600000\"}");
    for cut in 0..=whole.len() {
        let mut socket = connect(&server);
        socket.send_bytes(&whole[..cut]);
        drop(socket);
    }
    // A handshake without an end.
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.write_all(b"GET /echo HTTP/1.1\r\nhost: localhost\r\nupgrade: websocket\r\n").unwrap();
    drop(stream);

    until("that no connection is open", || {
        // The one that asks.
        server.metric("wardian_connections_open") == Some(1.0)
    });
    server.until_busy("scripted", 0);
}

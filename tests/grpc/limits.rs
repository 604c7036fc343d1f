//! The limits of what one client can take by HTTP/2.

use super::frames::{DATA, END_STREAM, GOAWAY, HEADERS, PING, PREFACE, RST_STREAM, RawClient};
use crate::harness::{Server, scripted};

const LIVE: &str = "/v2/health/live";

/// A server whose times are short.
fn hasty() -> Server {
    let times =
        "[http]\nheader_read_timeout = '300ms'\nkeep_alive = '400ms'\nwrite_timeout = '300ms'";
    let server = Server::with_models(|models| models.bare("scripted", scripted("version=1")));
    let server = server.config(times).start();
    server.until_ready("scripted", 1);
    server
}

fn client(server: &Server) -> RawClient {
    RawClient::with_settings(server.address(), &[])
}

/// A server that is still well after what has been done to it.
fn is_well(server: &Server) {
    server.get(LIVE).ok();
    let mut other = client(server);
    other.request(1, "GET", LIVE, &[]);
    assert!(other.until(DATA).is_some());
}

#[test]
fn a_client_says_its_protocol_in_time() {
    let server = hasty();
    for said in [&b""[..], b"P", &PREFACE[..12], b"GET"] {
        let mut client = RawClient::connect(server.address());
        client.write(said);
        client.until_closed();
    }
    is_well(&server);
}

#[test]
fn an_idle_connection_is_closed_although_its_client_pings() {
    let server = hasty();
    let mut client = client(&server);
    client.request(1, "GET", LIVE, &[]);
    assert!(client.until(DATA).is_some());
    while let Some(frame) = {
        client.frame(PING, 0, 0, &[7; 8]);
        client.read()
    } {
        assert_ne!(frame.kind, GOAWAY);
    }
    is_well(&server);
}

#[test]
fn a_client_that_takes_nothing_is_cut_off() {
    let server = hasty();
    // The initial window of each stream is 0.
    let mut client = RawClient::with_settings(server.address(), &[(4, 0)]);
    client.request(1, "GET", LIVE, &[]);
    assert!(client.until(HEADERS).is_some());
    assert!(client.until(DATA).is_none(), "it has no room for data");
    is_well(&server);
}

#[test]
fn streams_of_a_connection_are_bounded() {
    let server = hasty();
    let mut client = client(&server);
    for number in 0..200 {
        client.request(2 * number + 1, "POST", "/v2/models/scripted/infer", &[]);
    }
    let refused = client.until(RST_STREAM).expect("the 129th stream is refused");
    assert!(refused.stream > 2 * 128, "{}", refused.stream);
    assert_eq!(refused.payload, 7u32.to_be_bytes(), "REFUSED_STREAM: it can be sent again");
    is_well(&server);
}

#[test]
fn streams_that_are_reset_at_once_end_the_connection() {
    let server = hasty();
    let mut client = client(&server);
    for number in 0..20_000u32 {
        client.request(2 * number + 1, "GET", LIVE, &[]);
        client.frame(RST_STREAM, 0, 2 * number + 1, &8u32.to_be_bytes());
    }
    client.until_closed();
    is_well(&server);
}

#[test]
fn long_heads_are_refused() {
    let server = hasty();
    let mut client = client(&server);
    let long = "x".repeat(10_000);
    let more = [("a", &*long), ("b", &*long), ("c", &*long), ("d", &*long)];
    client.request(1, "GET", LIVE, &more);
    let answer = std::iter::from_fn(|| client.read())
        .map(|frame| frame.kind)
        .find(|kind| [HEADERS, RST_STREAM, GOAWAY].contains(kind));
    assert!(answer.is_none_or(|kind| kind != DATA), "it is not served");
    is_well(&server);
}

#[test]
fn bytes_that_are_no_frames_end_the_connection() {
    let server = hasty();
    for wrong in
        [&[0xff; 64][..], &[0, 0, 1, 9, 0, 0, 0, 1, 0], &[0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1]]
    {
        let mut client = client(&server);
        client.write(wrong);
        client.until_closed();
    }

    // Data of a stream that was never opened.
    let mut client = client(&server);
    client.frame(DATA, END_STREAM, 9, b"x");
    client.until_closed();
    is_well(&server);
}

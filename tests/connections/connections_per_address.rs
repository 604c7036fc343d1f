//! The share of connections that clients of one address may hold beside others.

use std::net::{IpAddr, Ipv4Addr};

use super::wire::Wire;
use crate::harness::{Server, scripted};

const CONNECTIONS: usize = 8;

/// Connections that one address may hold beside others: three quarters.
const SHARE: usize = 6;

const LIVE: &str = "GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\n\r\n";

fn server() -> Server {
    let server = Server::with_models(|models| {
        models.settings("scripted", "[limits]\ndeadline = '10m'\n[instances]\nmax = 16");
        models.version("scripted", 1, scripted("version=1"));
    });
    let server = server.config(&format!("[http]\nmax_connections = {CONNECTIONS}")).start();
    server.until_ready("scripted", 1);
    server
}

fn address(number: u8) -> IpAddr {
    Ipv4Addr::new(127, 0, 0, number).into()
}

/// Opens a connection from an address, with a call under way that sleeps.
fn sleeping(server: &Server, number: u8) -> Wire {
    let body = r#"{"inputs":[],"parameters":{"behave":"sleep:600000"}}"#;
    let mut wire = Wire::from_address(address(number), server);
    let head = "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\n";
    wire.send(format!("{head}content-length: {}\r\n\r\n{body}", body.len())).unwrap();
    wire
}

#[test]
fn one_address_leaves_a_quarter_of_the_connections_to_others() {
    let server = server();
    let mut other = Wire::from_address(address(3), &server);
    other.send(LIVE).unwrap();
    assert_eq!(other.answer().unwrap().status, 200);

    let calls: Vec<_> = (0..CONNECTIONS).map(|_| sleeping(&server, 2)).collect();
    server.until_busy("scripted", SHARE as u64);

    // The calls beyond the share wait, and the other address has its connections at once.
    let mut second = Wire::from_address(address(3), &server);
    second.send(LIVE).unwrap();
    assert_eq!(second.answer().unwrap().status, 200);
    assert_eq!(server.config_of("scripted")["wardian"]["instances"]["busy"], SHARE);

    // A place of the address goes to a connection of the same address.
    drop(calls);
    let mut again = Wire::from_address(address(2), &server);
    again.send(LIVE).unwrap();
    assert_eq!(again.answer().unwrap().status, 200);
}

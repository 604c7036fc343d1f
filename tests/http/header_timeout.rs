//! `http.header_read_timeout`: clients whose request head does not arrive in time.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use wardian::config::HttpConfig;

use crate::harness::Server;

/// Connects and sends the beginning of a request.
fn connect(server: &Server, beginning: &str) -> TcpStream {
    let mut stream = TcpStream::connect(server.address()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    stream.write_all(beginning.as_bytes()).unwrap();
    stream
}

#[test]
fn late_headers_end_the_connection() {
    let server =
        Server::with_models(|_| {}).config("[http]\nheader_read_timeout = '100ms'").start();
    let start = Instant::now();
    let mut stream =
        connect(&server, "GET /v2/health/live HTTP/1.1\r\nhost: localhost\r\nx-half: ");
    let mut response = Vec::new();
    // A connection that was reset has ended as well.
    let _ = stream.read_to_end(&mut response);
    assert!(
        start.elapsed() < HttpConfig::default().header_read_timeout,
        "the default time limit was used"
    );
    assert!(!response.starts_with(b"HTTP/1.1 200"), "{}", String::from_utf8_lossy(&response));
    server.get("/v2/health/live").ok();
}

//! Attacks by connections: unread responses, endless bodies, an unread log.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

use anyhow::Result;
use flate2::Compression;
use flate2::write::GzEncoder;

use super::super::http_client::{self, Client, get};
use super::attacks::RunningAttack;
use super::server::{ATTACKER, AttackedServer};

/// Requests that a connection sends before it reads.
const PIPELINE: usize = 2000;

/// The time until an attack has an effect.
const START: Duration = Duration::from_millis(500);

/// Calls that log, until the pipe of the unread log is full.
pub(super) fn log(scene: &AttackedServer) -> Result<RunningAttack> {
    let address = scene.server.address();
    let request = http_client::infer(
        Some(ATTACKER),
        "scripted",
        br#"{"inputs":[],"parameters":{"behave":"log-flood"}}"#,
    );
    Ok(RunningAttack::default().repeat(4, move |_| send_once(address, &request)).wait(START))
}

/// Connections that send requests without end and read nothing.
pub(super) fn unread(scene: &AttackedServer) -> Result<RunningAttack> {
    let requests = get("/openapi.json").repeat(PIPELINE);
    let address = scene.server.address();
    // A connection that the server has closed is replaced.
    let hold = move |_| {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        while stream.write_all(&requests).is_ok() {}
        std::thread::sleep(Duration::from_millis(500));
    };
    Ok(RunningAttack::default().repeat(49, hold).wait(START))
}

/// Connections that send requests without end and read as fast as they can.
pub(super) fn pipelined(scene: &AttackedServer) -> Result<RunningAttack> {
    let requests = get("/openapi.json").repeat(64);
    let address = scene.server.address();
    let flood = move |_| {
        let mut streams: Vec<_> = (0..4).filter_map(|_| connect_reader(address)).collect();
        let mut piece = vec![0; 1 << 20];
        for _ in 0..50 {
            streams.retain_mut(|stream| stream.write_all(&requests).is_ok());
            for stream in &mut streams {
                while matches!(stream.read(&mut piece), Ok(length) if length == piece.len()) {}
            }
        }
    };

    // The attacker's threads share the cores with the guests in equal parts. With a thread for each
    // connection, the victim's calls would wait for the attacker's reading, which a real attacker
    // does on other machines.
    Ok(RunningAttack::default().repeat(2, flood).wait(START))
}

/// Opens a connection whose reads wait for a moment only.
fn connect_reader(address: SocketAddr) -> Option<TcpStream> {
    let stream = TcpStream::connect(address).ok()?;
    stream.set_read_timeout(Some(Duration::from_millis(20))).ok()?;
    Some(stream)
}

/// Responses of 8 MiB that are requested with a few kilobytes and never read.
pub(super) fn answers(scene: &AttackedServer) -> Result<RunningAttack> {
    let text = "x".repeat(8 << 20);
    let body = format!(
        r#"{{"inputs":[{{"name":"text","datatype":"BYTES","shape":[1],"data":["{text}"]}}]}}"#
    );
    let request = compressed(&body)?;
    scene.wait_for("scripted")?;
    let address = scene.server.address();
    let ask = |_| -> Option<TcpStream> {
        let mut stream = TcpStream::connect(address).ok()?;
        stream.write_all(&request).ok()?;
        Some(stream)
    };

    Ok(RunningAttack::holding((0..400).filter_map(ask).collect()).wait(2 * START))
}

/// Bodies of 600 MB whose last byte never arrives.
pub(super) fn bodies(scene: &AttackedServer) -> Result<RunningAttack> {
    let address = scene.server.address();
    let head = format!(
        "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\nwardian-tenant: {ATTACKER}\r\ncontent-length: {}\r\n\r\n",
        (600 << 20) + 1
    );
    let send = move |_| {
        let Ok(mut stream) = TcpStream::connect(address) else { return };
        let _ = stream.set_write_timeout(Some(Duration::from_secs(1)));
        let piece = vec![b' '; 1 << 20];
        let sent = stream
            .write_all(head.as_bytes())
            .and_then(|()| (0..600).try_for_each(|_| stream.write_all(&piece)));
        // The server has refused it earlier, or waits for the last byte.
        let _ = sent
            .and_then(|()| stream.set_read_timeout(Some(Duration::from_secs(3))))
            .map(|()| stream.read(&mut [0]));
    };

    Ok(RunningAttack::default().repeat(3, send).wait(2 * START))
}

/// The bytes of a request to the attacker's model with a compressed body.
pub(super) fn compressed(body: &str) -> Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(body.as_bytes())?;
    let body = encoder.finish()?;
    let head = format!(
        "POST /v2/models/scripted/infer HTTP/1.1\r\nhost: localhost\r\nwardian-tenant: {ATTACKER}\r\ncontent-encoding: gzip\r\ncontent-length: {}\r\n\r\n",
        body.len()
    );
    Ok([head.as_bytes(), &body].concat())
}

/// Sends one request on a new connection and reads any response.
pub(super) fn send_once(address: SocketAddr, request: &[u8]) {
    // The attacker ignores the outcome.
    let _ = Client::connect(address).and_then(|mut client| client.send(request));
}

//! A client of HTTP/2 that sends the frames it is told to.

use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::time::Duration;

pub(super) const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

pub(super) const DATA: u8 = 0;
pub(super) const HEADERS: u8 = 1;
pub(super) const RST_STREAM: u8 = 3;
pub(super) const SETTINGS: u8 = 4;
pub(super) const PING: u8 = 6;
pub(super) const GOAWAY: u8 = 7;

pub(super) const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;

/// No test waits longer for bytes that must come.
const DEADLINE: Duration = Duration::from_secs(60);

pub(super) struct Frame {
    pub(super) kind: u8,
    pub(super) stream: u32,
    pub(super) payload: Vec<u8>,
}

pub(super) struct RawClient {
    socket: TcpStream,
}

impl RawClient {
    /// Connects and says nothing.
    pub(super) fn connect(address: SocketAddr) -> Self {
        let socket = TcpStream::connect(address).unwrap();
        socket.set_read_timeout(Some(DEADLINE)).unwrap();
        RawClient { socket }
    }

    /// Connects and speaks HTTP/2 with these settings.
    pub(super) fn with_settings(address: SocketAddr, settings: &[(u16, u32)]) -> Self {
        let mut client = RawClient::connect(address);
        client.write(PREFACE);
        let payload: Vec<u8> = settings
            .iter()
            .flat_map(|(name, value)| [&name.to_be_bytes()[..], &value.to_be_bytes()].concat())
            .collect();
        client.frame(SETTINGS, 0, 0, &payload);
        client
    }

    pub(super) fn write(&mut self, bytes: &[u8]) {
        // A server that has had enough closes the connection while it is written to.
        let _ = self.socket.write_all(bytes);
    }

    pub(super) fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        let head = [&length[1..], &[kind, flags], &stream.to_be_bytes()].concat();
        self.write(&[&head, payload].concat());
    }

    /// Begins a request.
    pub(super) fn request(&mut self, stream: u32, method: &str, path: &str, more: &[(&str, &str)]) {
        let fields = [
            (":method", method),
            (":scheme", "http"),
            (":path", path),
            (":authority", "localhost"),
        ];
        let block: Vec<u8> =
            fields.iter().chain(more).flat_map(|field| encode_field(*field)).collect();
        let ends = if method == "GET" { END_STREAM } else { 0 };
        self.frame(HEADERS, END_HEADERS | ends, stream, &block);
    }

    /// Reads a frame. `None` if the server has closed the connection.
    pub(super) fn read(&mut self) -> Option<Frame> {
        let mut head = [0; 9];
        self.read_exactly(&mut head)?;
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        self.read_exactly(&mut payload)?;
        let stream = u32::from_be_bytes([head[5], head[6], head[7], head[8]]);
        Some(Frame { kind: head[3], stream, payload })
    }

    /// Reads up to a frame of this kind. `None` if the connection was closed before.
    pub(super) fn until(&mut self, kind: u8) -> Option<Frame> {
        std::iter::from_fn(|| self.read()).find(|frame| frame.kind == kind)
    }

    /// Waits until the server has closed the connection.
    pub(super) fn until_closed(&mut self) {
        while self.read().is_some() {}
    }

    fn read_exactly(&mut self, into: &mut [u8]) -> Option<()> {
        match self.socket.read_exact(into) {
            Ok(()) => Some(()),
            Err(error) => {
                assert_ne!(error.kind(), io::ErrorKind::WouldBlock, "the server sends nothing");
                None
            }
        }
    }
}

/// Encodes a field as two literals, which change no table.
fn encode_field((name, value): (&str, &str)) -> Vec<u8> {
    [&[0][..], &encode_text(name), &encode_text(value)].concat()
}

fn encode_text(text: &str) -> Vec<u8> {
    let mut out = Vec::new();
    let mut length = text.len();
    if length < 127 {
        out.push(length as u8);
    } else {
        out.push(127);
        length -= 127;
        while length >= 128 {
            out.push((length % 128 + 128) as u8);
            length /= 128;
        }
        out.push(length as u8);
    }
    [out, text.into()].concat()
}

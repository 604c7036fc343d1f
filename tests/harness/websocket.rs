//! A client of WebSocket connections that can break every rule.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use serde_json::Value;

use super::client::{Call, Response};

/// The first byte of a frame that is a whole text.
pub(crate) const TEXT: u8 = 0x81;
/// The first byte of a frame that is a whole binary message.
pub(crate) const BINARY: u8 = 0x82;
/// The first byte of a ping.
pub(crate) const PING: u8 = 0x89;
/// The first byte of a pong.
pub(crate) const PONG: u8 = 0x8a;
/// The first byte of a close frame.
pub(crate) const CLOSE: u8 = 0x88;

/// A socket that takes nothing for this long is full.
const FULL_AFTER: Duration = Duration::from_millis(500);

const MASK: [u8; 4] = [3, 141, 59, 26];

/// An open connection. Dropping it closes it without a close frame.
pub(crate) struct WebSocket {
    stream: BufReader<TcpStream>,
    /// Names are in lower case.
    headers: Vec<(String, String)>,
}

impl Call {
    /// Asks for a WebSocket connection, which the server must accept.
    #[track_caller]
    pub(crate) fn connect(self) -> WebSocket {
        let mut stream = BufReader::new(self.handshake().begin().into_stream());
        let mut head = Vec::new();
        loop {
            let mut line = String::new();
            stream.read_line(&mut line).unwrap();
            match line.trim_end() {
                "" => break,
                line => head.push(line.to_owned()),
            }
        }
        assert!(head[0].starts_with("HTTP/1.1 101 "), "{head:?}");

        let pairs = head[1..].iter().filter_map(|line| line.split_once(':'));
        let headers =
            pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        WebSocket { stream, headers }
    }

    /// Asks for a WebSocket connection, which the server must refuse.
    pub(crate) fn connect_refused(self) -> Response {
        self.handshake().replace_header("connection", "Upgrade, close").send()
    }

    fn handshake(self) -> Call {
        self.replace_header("connection", "Upgrade")
            .header("upgrade", "websocket")
            .header("sec-websocket-version", "13")
            .header("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ==")
    }
}

impl WebSocket {
    /// Returns a header of the handshake's response; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// Sends bytes as they are.
    pub(crate) fn send_bytes(&mut self, bytes: &[u8]) {
        // The server may have closed the connection.
        let _ = self.stream.get_mut().write_all(bytes);
    }

    /// Sends bytes again and again until the socket takes no more for a while.
    pub(crate) fn until_full(&mut self, bytes: &[u8]) {
        let stream = self.stream.get_mut();
        stream.set_write_timeout(Some(FULL_AFTER)).unwrap();
        while stream.write_all(bytes).is_ok() {}
    }

    /// Sends a frame with this first byte.
    pub(crate) fn send_frame(&mut self, first: u8, payload: &[u8]) {
        self.send_bytes(&frame(first, payload));
    }

    /// Sends a text.
    pub(crate) fn send(&mut self, text: &str) {
        self.send_frame(TEXT, text.as_bytes());
    }

    /// Sends a text and waits for the JSON that answers it.
    #[track_caller]
    pub(crate) fn ask(&mut self, text: &str) -> Value {
        self.send(text);
        self.json()
    }

    /// Waits for a frame. Returns its first byte and its payload.
    #[track_caller]
    pub(crate) fn next_frame(&mut self) -> (u8, Vec<u8>) {
        let [first, short] = self.read();
        assert_eq!(short & 0x80, 0, "the server sets no mask");
        let length = match short {
            126 => u64::from(u16::from_be_bytes(self.read())),
            127 => u64::from_be_bytes(self.read()),
            short => u64::from(short),
        };
        let mut payload = vec![0; length as usize];
        self.stream.read_exact(&mut payload).expect("the frame is whole");
        (first, payload)
    }

    /// Waits for a text.
    #[track_caller]
    pub(crate) fn text(&mut self) -> String {
        let (first, payload) = self.next_frame();
        assert_eq!(first, TEXT, "{payload:?}");
        String::from_utf8(payload).unwrap()
    }

    /// Waits for a text with JSON.
    #[track_caller]
    pub(crate) fn json(&mut self) -> Value {
        let text = self.text();
        serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}"))
    }

    /// Waits for a text with an error, and returns its code.
    #[track_caller]
    pub(crate) fn error(&mut self) -> String {
        self.json()["code"].as_str().expect("it is an error").to_owned()
    }

    /// Waits for the close frame and the end of the connection. Returns the code.
    #[track_caller]
    pub(crate) fn closed(&mut self) -> u16 {
        let (first, payload) = self.next_frame();
        assert_eq!(first, CLOSE, "{}", String::from_utf8_lossy(&payload));
        assert!(std::str::from_utf8(&payload[2..]).is_ok());
        self.until_end();
        u16::from_be_bytes([payload[0], payload[1]])
    }

    /// Waits until the server has ended its side.
    #[track_caller]
    pub(crate) fn until_end(&mut self) {
        let mut rest = Vec::new();
        // A server that does not wait for the client resets the connection.
        let _ = self.stream.read_to_end(&mut rest);
        assert!(rest.is_empty(), "{rest:?} follows");
    }

    #[track_caller]
    fn read<const N: usize>(&mut self) -> [u8; N] {
        let mut bytes = [0; N];
        self.stream.read_exact(&mut bytes).expect("the server sends a frame");
        bytes
    }
}

/// Returns a frame of a client with this first byte.
pub(crate) fn frame(first: u8, payload: &[u8]) -> Vec<u8> {
    let mut frame = vec![first];
    match payload.len() {
        length @ 0..=125 => frame.push(0x80 | length as u8),
        length @ 126..=0xffff => {
            frame.push(0x80 | 126);
            frame.extend((length as u16).to_be_bytes());
        }
        length => {
            frame.push(0x80 | 127);
            frame.extend((length as u64).to_be_bytes());
        }
    }
    frame.extend(MASK);
    frame.extend(payload.iter().zip(MASK.iter().cycle()).map(|(byte, key)| byte ^ key));
    frame
}

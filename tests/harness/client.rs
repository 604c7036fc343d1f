//! An HTTP client that can send, wait, and disconnect.

use std::fmt::Write as _;
use std::io::{self, Read, Write};
use std::net::{SocketAddr, TcpStream};

use serde_json::Value;

use super::wait::DEADLINE;

/// A request builder.
#[must_use]
pub(crate) struct Call {
    address: SocketAddr,
    head: String,
    body: Vec<u8>,
    framing: Framing,
}

/// The framing of a request's body.
enum Framing {
    /// An announced length, which may be more than the bytes that are sent.
    Length(Option<u64>),
    Chunked,
}

/// A request that was sent and whose response is pending. Dropping it closes the connection.
pub(crate) struct Pending {
    stream: TcpStream,
}

/// A parsed response.
#[derive(Debug)]
pub(crate) struct Response {
    pub(crate) status: u16,
    /// Names are in lower case.
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Vec<u8>,
}

impl Call {
    pub(super) fn new(address: SocketAddr, method: &str, path: &str) -> Self {
        let head = format!("{method} {path} HTTP/1.1\r\nhost: {address}\r\nconnection: close\r\n");
        Call { address, head, body: Vec::new(), framing: Framing::Length(None) }
    }

    /// Adds a header.
    pub(crate) fn header(mut self, name: &str, value: &str) -> Self {
        write!(self.head, "{name}: {value}\r\n").unwrap();
        self
    }

    /// Sets a header that every request has.
    pub(super) fn replace_header(mut self, name: &str, value: &str) -> Self {
        let (before, rest) = self.head.split_once(&format!("\r\n{name}: ")).unwrap();
        let (_, after) = rest.split_once("\r\n").unwrap();
        self.head = format!("{before}\r\n{name}: {value}\r\n{after}");
        self
    }

    /// Sets the `HostFile` header to something other than the server's address.
    pub(crate) fn host(mut self, host: &str) -> Self {
        self.head = self
            .head
            .replace(&format!("\r\nhost: {}\r\n", self.address), &format!("\r\nhost: {host}\r\n"));
        self
    }

    /// Sets the body.
    pub(crate) fn body(mut self, body: impl Into<Vec<u8>>) -> Self {
        self.body = body.into();
        self
    }

    /// Sets a JSON body.
    pub(crate) fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    /// Announces a longer body than is sent, like a client that has not sent everything yet.
    pub(crate) fn announce(mut self, length: u64) -> Self {
        self.framing = Framing::Length(Some(length));
        self
    }

    /// Sends the body in chunks, without announcing its length.
    pub(crate) fn chunked(mut self) -> Self {
        self.framing = Framing::Chunked;
        self
    }

    /// Sends the request without waiting for the response.
    pub(crate) fn begin(self) -> Pending {
        self.try_begin().expect("the server takes connections")
    }

    /// Sends the request and waits for its response.
    pub(crate) fn send(self) -> Response {
        self.begin().answer()
    }

    /// Sends a request whose response has only a head. Returns its status and its length.
    pub(crate) fn send_head(self) -> (u16, String) {
        let mut stream = self.begin().into_stream();
        let mut head = String::new();
        stream.read_to_string(&mut head).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")).unwrap();
        assert!(head.ends_with("\r\n\r\n"), "{head} has a body");
        (status, length.to_owned())
    }

    /// Like `send`, for a server that may end before it answers.
    pub(crate) fn try_send(self) -> io::Result<Response> {
        self.try_begin()?.try_answer()
    }

    fn try_begin(self) -> io::Result<Pending> {
        let mut stream = TcpStream::connect(self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        match self.framing {
            Framing::Length(announced) => {
                let length = announced.unwrap_or(self.body.len() as u64);
                stream.write_all(
                    format!("{}content-length: {length}\r\n\r\n", self.head).as_bytes(),
                )?;
                stream.write_all(&self.body)?;
            }
            Framing::Chunked => {
                stream.write_all(
                    format!("{}transfer-encoding: chunked\r\n\r\n", self.head).as_bytes(),
                )?;
                // A server that refuses the request answers and closes before everything is sent.
                let _ = write_chunks(&mut stream, &self.body);
            }
        }
        Ok(Pending { stream })
    }
}

fn write_chunks(stream: &mut TcpStream, body: &[u8]) -> io::Result<()> {
    for chunk in body.chunks(10_000) {
        stream.write_all(format!("{:x}\r\n", chunk.len()).as_bytes())?;
        stream.write_all(chunk)?;
        stream.write_all(b"\r\n")?;
    }
    stream.write_all(b"0\r\n\r\n")
}

impl Pending {
    /// Waits for the response.
    pub(crate) fn answer(self) -> Response {
        self.try_answer().expect("the server answers")
    }

    /// Like `answer`, for a server that may end before it answers.
    pub(crate) fn try_answer(mut self) -> io::Result<Response> {
        let mut bytes = Vec::new();
        let read = self.stream.read_to_end(&mut bytes);
        // If the server closes before everything was sent, an error follows the response.
        Response::parse(&bytes)
            .ok_or_else(|| read.err().unwrap_or(io::ErrorKind::UnexpectedEof.into()))
    }

    /// Returns true if a byte of the response has arrived.
    pub(crate) fn has_begun(&self) -> bool {
        self.stream.set_nonblocking(true).unwrap();
        let peeked = self.stream.peek(&mut [0]);
        self.stream.set_nonblocking(false).unwrap();
        !matches!(peeked, Err(error) if error.kind() == io::ErrorKind::WouldBlock)
    }

    /// Waits for the response to begin, and returns its status. The rest stays unread.
    pub(crate) fn status(&mut self) -> u16 {
        let mut begin = [0; 12];
        self.stream.read_exact(&mut begin).expect("the server answers");
        std::str::from_utf8(&begin[9..]).unwrap().parse().unwrap()
    }

    /// Reads the rest of the response, and returns its length in bytes.
    pub(crate) fn rest(mut self) -> io::Result<usize> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)
    }

    /// Returns the connection, from which nothing has been read.
    pub(super) fn into_stream(self) -> TcpStream {
        self.stream
    }

    /// Closes the connection without waiting for the response.
    pub(crate) fn hang_up(self) {
        drop(self.stream);
    }
}

/// Returns the content of chunks; `None` if the last one is missing.
fn joined_chunks(mut chunks: &[u8]) -> Option<Vec<u8>> {
    let mut joined = Vec::new();
    loop {
        let end = chunks.windows(2).position(|window| window == b"\r\n")?;
        let length = std::str::from_utf8(&chunks[..end]).ok()?;
        let length = usize::from_str_radix(length, 16).ok()?;
        let content = chunks.get(end + 2..end + 2 + length)?;
        if length == 0 {
            return Some(joined);
        }
        joined.extend_from_slice(content);
        chunks = chunks.get(end + 2 + length + 2..)?;
    }
}

impl Response {
    fn parse(bytes: &[u8]) -> Option<Response> {
        let end = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
        let head = std::str::from_utf8(&bytes[..end]).ok()?;
        let mut lines = head.split("\r\n");
        let status = lines.next()?.split(' ').nth(1)?.parse().ok()?;
        let pairs = lines.filter_map(|line| line.split_once(':'));
        let headers: Vec<_> =
            pairs.map(|(name, value)| (name.to_lowercase(), value.trim().to_owned())).collect();
        let body = bytes[end + 4..].to_vec();
        let response = Response { status, headers, body };
        if response.header("transfer-encoding").is_some() {
            let body = joined_chunks(&response.body)?;
            return Some(Response { body, ..response });
        }
        let announced = response.header("content-length").map(|length| length.parse::<usize>());
        // A response is cut short if the server ended in the middle of it. One without a body has
        // no length.
        let is_empty = status == 204 && response.body.is_empty() && announced.is_none();
        (is_empty || announced == Some(Ok(response.body.len()))).then_some(response)
    }

    /// Returns the value of a header; `name` is in lower case.
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|header| header.0 == name).map(|header| header.1.as_str())
    }

    /// Returns the body as text.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    /// Returns the body as JSON.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("not JSON: {} {}", self.status, self.text()))
    }

    /// Returns the status, and the error code of an error.
    pub(crate) fn outcome(&self) -> (u16, String) {
        let code = if self.status < 400 {
            String::new()
        } else {
            let json = self.json();
            // OpenAI's clients read an object under `error`.
            let code = json["code"].as_str().or(json["error"]["code"].as_str());
            code.unwrap().to_owned()
        };
        (self.status, code)
    }

    /// Asserts the status and the error code.
    #[track_caller]
    pub(crate) fn refused(&self, status: u16, code: &str) -> &Self {
        assert_eq!(
            (self.status, self.text().contains(&format!("\"code\":\"{code}\""))),
            (status, true),
            "{self}"
        );
        self
    }

    /// Asserts that the status is 200.
    #[track_caller]
    pub(crate) fn ok(&self) -> &Self {
        assert_eq!(self.status, 200, "{self}");
        self
    }

    /// Returns the elements of an output tensor.
    #[track_caller]
    pub(crate) fn output(&self, name: &str) -> Vec<Value> {
        self.ok();
        let json = self.json();
        let outputs = json["outputs"].as_array().cloned().unwrap_or_default();
        let output = outputs.into_iter().find(|output| output["name"] == name);
        let output = output.unwrap_or_else(|| panic!("there is no output '{name}' in {self}"));
        output["data"].as_array().unwrap().clone()
    }

    /// Returns the only element of an integer output tensor.
    #[track_caller]
    pub(crate) fn number(&self, output: &str) -> i64 {
        self.output(output)[0].as_i64().unwrap()
    }
}

impl std::fmt::Display for Response {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} {}", self.status, self.text().chars().take(2000).collect::<String>())
    }
}

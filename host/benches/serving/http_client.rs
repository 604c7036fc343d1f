//! A minimal HTTP client, which takes little of the cores that it shares with the server.

use std::io::{Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::ops::Range;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};

/// The bytes of an inference request. `tenant` is named if there are several.
pub(crate) fn infer(tenant: Option<&str>, model: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let tenant = tenant.map(|tenant| format!("wardian-tenant: {tenant}\r\n")).unwrap_or_default();
    let head = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: localhost\r\n{tenant}content-type: application/json\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The bytes of an inference request with binary data after `head` bytes of its body.
pub(crate) fn infer_binary(tenant: Option<&str>, model: &str, body: &[u8], head: usize) -> Vec<u8> {
    let length = body.len();
    let tenant = tenant.map(|tenant| format!("wardian-tenant: {tenant}\r\n")).unwrap_or_default();
    let headers = format!(
        "POST /v2/models/{model}/infer HTTP/1.1\r\nhost: localhost\r\n{tenant}content-type: application/octet-stream\r\ninference-header-content-length: {head}\r\ncontent-length: {length}\r\n\r\n"
    );
    [headers.as_bytes(), body].concat()
}

/// The bytes of a POST request. Each header is a line with its end.
pub(crate) fn post(path: &str, headers: &str, body: &[u8]) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST {path} HTTP/1.1\r\nhost: localhost\r\n{headers}content-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body].concat()
}

/// The bytes of a request for a streamed response.
pub(crate) fn stream(model: &str, body: &str) -> Vec<u8> {
    let length = body.len();
    let head = format!(
        "POST /v2/models/{model}/generate_stream HTTP/1.1\r\nhost: localhost\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), body.as_bytes()].concat()
}

/// The bytes of a GET request.
pub(crate) fn get(path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\n\r\n").into_bytes()
}

/// The bytes of a GET request of a tenant.
pub(crate) fn get_as(tenant: &str, path: &str) -> Vec<u8> {
    format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nwardian-tenant: {tenant}\r\n\r\n")
        .into_bytes()
}

/// The bytes of an upload of a model's version.
pub(crate) fn upload(tenant: &str, model: &str, version: u32, component: &[u8]) -> Vec<u8> {
    let length = component.len();
    let head = format!(
        "PUT /v2/repository/models/{model}/versions/{version} HTTP/1.1\r\nhost: localhost\r\nwardian-tenant: {tenant}\r\ncontent-type: application/wasm\r\ncontent-length: {length}\r\n\r\n"
    );
    [head.as_bytes(), component].concat()
}

/// The status and the body of a response, by its place.
pub(crate) struct Layout {
    pub(crate) ok: bool,
    pub(crate) body: Range<usize>,
}

/// Finds the body of the response at the start of `bytes`, once it is complete.
pub(crate) fn layout(bytes: &[u8]) -> Option<Layout> {
    let head = bytes.windows(4).position(|window| window == b"\r\n\r\n")?;
    let start = head + 4;
    let body = start..start + content_length(&bytes[..head]);
    (bytes.len() >= body.end).then(|| Layout { ok: bytes.starts_with(b"HTTP/1.1 200"), body })
}

fn content_length(head: &[u8]) -> usize {
    const NAME: &[u8] = b"\r\ncontent-length: ";
    let Some(at) = head.windows(NAME.len()).position(|window| window == NAME) else { return 0 };
    let digits = head[at + NAME.len()..].iter().take_while(|byte| byte.is_ascii_digit());
    digits.fold(0, |length, digit| length * 10 + usize::from(digit - b'0'))
}

/// A connection with one request at a time.
pub(crate) struct Client(TcpStream);

/// The longest wait for a response.
const TIMEOUT: Duration = Duration::from_secs(30);

impl Client {
    /// Connects.
    pub(crate) fn connect(address: SocketAddr) -> Result<Self> {
        let stream =
            TcpStream::connect_timeout(&address, TIMEOUT).context("cannot connect to a server")?;
        stream.set_nodelay(true)?;
        stream.set_read_timeout(Some(TIMEOUT))?;
        Ok(Client(stream))
    }

    /// Sends a request and reads the streamed response. Returns the time to the first part, the
    /// time to the end, and the number of parts.
    pub(crate) fn send_streaming(&mut self, request: &[u8]) -> Result<(Duration, Duration, usize)> {
        const EVENT: &[u8] = b"data: ";
        let started = Instant::now();
        self.0.write_all(request)?;
        let mut bytes = Vec::new();
        let mut piece = vec![0; 64 << 10];
        let mut first = None;

        while !bytes.ends_with(b"\r\n0\r\n\r\n") {
            match self.0.read(&mut piece)? {
                0 => bail!("a server closed the connection"),
                length => bytes.extend_from_slice(&piece[..length]),
            }
            if first.is_none() && bytes.windows(EVENT.len()).any(|window| window == EVENT) {
                first = Some(started.elapsed());
            }
        }
        let whole = started.elapsed();
        let parts = bytes.windows(EVENT.len()).filter(|window| *window == EVENT).count();

        Ok((first.context("an answer has no parts")?, whole, parts))
    }

    /// Sends a request, and returns the timings of its response. Fails if its status is not 200.
    pub(crate) fn send_timed(&mut self, request: &[u8]) -> Result<ServerTiming> {
        Ok(self.send_measured(request)?.timing)
    }

    /// Sends a request, and measures the whole exchange. Fails if its status is not 200.
    pub(crate) fn send_measured(&mut self, request: &[u8]) -> Result<Exchange> {
        let started = Instant::now();
        let (bytes, layout) = self.exchange(request)?;
        let elapsed = started.elapsed();

        ensure!(layout.ok, "a server refused: {}", String::from_utf8_lossy(&bytes));
        let head = String::from_utf8_lossy(&bytes[..layout.body.start]);
        let value = head.lines().find_map(|line| line.strip_prefix("server-timing: "));
        let timing = ServerTiming(value.context("a response has no Server-Timing")?.to_owned());
        Ok(Exchange { elapsed, timing, body: bytes[layout.body].to_vec() })
    }

    /// Sends a request. Returns the body of the response if its status is 200.
    pub(crate) fn send(&mut self, request: &[u8]) -> Result<Option<Vec<u8>>> {
        let (bytes, layout) = self.exchange(request)?;
        Ok(layout.ok.then(|| bytes[layout.body].to_vec()))
    }

    /// Sends a request and reads the whole response.
    fn exchange(&mut self, request: &[u8]) -> Result<(Vec<u8>, Layout)> {
        self.0.write_all(request)?;
        let mut bytes = Vec::new();
        let mut piece = [0; 4096];
        loop {
            match self.0.read(&mut piece)? {
                0 => bail!("a server closed the connection"),
                length => bytes.extend_from_slice(&piece[..length]),
            }
            if let Some(layout) = layout(&bytes) {
                return Ok((bytes, layout));
            }
        }
    }
}

/// A response with its times.
pub(crate) struct Exchange {
    /// The time from the request's first byte to the response's last.
    pub(crate) elapsed: Duration,
    /// The server's own times.
    pub(crate) timing: ServerTiming,
    /// The body.
    pub(crate) body: Vec<u8>,
}

/// The value of a `Server-Timing` header, such as `instance;dur=0.012, compute;dur=0.3`.
pub(crate) struct ServerTiming(String);

impl ServerTiming {
    /// The sum of these parts, in microseconds.
    pub(crate) fn microseconds(&self, parts: &[&str]) -> Result<f64> {
        parts.iter().map(|part| Ok(self.milliseconds(part)? * 1e3)).sum()
    }

    fn milliseconds(&self, part: &str) -> Result<f64> {
        let entries = self.0.split(", ").filter_map(|entry| entry.split_once(";dur="));
        let value = entries.clone().find_map(|(name, value)| (name == part).then_some(value));
        Ok(value.with_context(|| format!("a response has no timing of '{part}'"))?.parse()?)
    }
}

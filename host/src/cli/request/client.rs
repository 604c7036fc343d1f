//! An HTTP client with one connection and one request at a time.

use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail, ensure};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, Uri};
use bytes::Bytes;
use http_body_util::{BodyExt, Full};
use hyper::body::Incoming;
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::header::{CONTENT_TYPE, HOST};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// A header given on the command line.
pub(in crate::cli) type Header = (HeaderName, HeaderValue);

/// A connection to a server.
pub(in crate::cli) struct Client {
    sender: SendRequest<Full<Bytes>>,
    host: HeaderValue,
    /// The prefix of every path.
    prefix: String,
    headers: Vec<Header>,
}

/// A complete response.
pub(in crate::cli) struct HttpResponse {
    pub(in crate::cli) status: StatusCode,
    pub(in crate::cli) headers: HeaderMap,
    pub(in crate::cli) body: Bytes,
}

/// A response whose body is read line by line.
pub(in crate::cli) struct ResponseStream {
    body: Incoming,
    /// Bytes that belong to the next lines.
    text: Vec<u8>,
}

/// The longest wait for a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);

impl Client {
    /// Connects to the server at `url`. `headers` are sent with every request.
    pub(in crate::cli) async fn connect(url: &Uri, headers: Vec<Header>) -> Result<Client> {
        let host = url.host().context("the URL names no host, such as http://127.0.0.1:8080")?;

        let port = url.port_u16().unwrap_or(80);
        // An IPv6 address has brackets in a URL alone.
        let address = (host.trim_start_matches('[').trim_end_matches(']'), port);
        let stream = match tokio::time::timeout(CONNECT_TIMEOUT, TcpStream::connect(address)).await {
            Ok(stream) => stream.with_context(|| {
                format!(
                    "cannot connect to {host}:{port}; start a server with `wardian serve`, or name another with --url"
                )
            })?,
            Err(_) => bail!("cannot connect to {host}:{port}: no answer for {CONNECT_TIMEOUT:?}"),
        };

        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.context("cannot speak HTTP")?;
        // Its errors also fail the request that waits for a response.
        tokio::spawn(connection);
        let host =
            HeaderValue::from_str(url.authority().map_or(host, |authority| authority.as_str()))?;
        Ok(Client { sender, host, prefix: url.path().trim_end_matches('/').into(), headers })
    }

    pub(in crate::cli) async fn get(&mut self, path: &str) -> Result<HttpResponse> {
        self.send(Request::get(self.path(path)).body(Full::default())?).await
    }

    pub(in crate::cli) async fn post(
        &mut self,
        path: &str,
        body: impl Into<Bytes>,
    ) -> Result<HttpResponse> {
        self.send(Request::post(self.path(path)).body(Full::new(body.into()))?).await
    }

    /// Sends a body of this media type.
    pub(in crate::cli) async fn post_as(
        &mut self,
        path: &str,
        media_type: &'static str,
        body: impl Into<Bytes>,
    ) -> Result<HttpResponse> {
        let request = Request::post(self.path(path)).header(CONTENT_TYPE, media_type);
        self.send(request.body(Full::new(body.into()))?).await
    }

    /// Sends a request whose response is streamed. An error response is returned whole.
    pub(in crate::cli) async fn post_streaming(
        &mut self,
        path: &str,
        body: Vec<u8>,
    ) -> Result<Result<ResponseStream, HttpResponse>> {
        let response = self
            .start_request(Request::post(self.path(path)).body(Full::new(body.into()))?)
            .await?;
        if response.status().is_success() {
            return Ok(Ok(ResponseStream { body: response.into_body(), text: Vec::new() }));
        }
        full_response(response).await.map(Err)
    }

    fn path(&self, path: &str) -> String {
        format!("{}{path}", self.prefix)
    }

    async fn send(&mut self, request: Request<Full<Bytes>>) -> Result<HttpResponse> {
        full_response(self.start_request(request).await?).await
    }

    async fn start_request(
        &mut self,
        mut request: Request<Full<Bytes>>,
    ) -> Result<Response<Incoming>> {
        let headers = request.headers_mut();
        headers.extend(self.headers.iter().cloned());
        // A header from the command line takes precedence.
        headers.entry(HOST).or_insert_with(|| self.host.clone());
        headers.entry(CONTENT_TYPE).or_insert(HeaderValue::from_static("application/json"));

        let lost = "the server closed the connection without an answer";
        self.sender.ready().await.context(lost)?;
        self.sender.send_request(request).await.context(lost)
    }
}

const TRUNCATED: &str = "the server's answer broke off";

async fn full_response(response: Response<Incoming>) -> Result<HttpResponse> {
    let (parts, body) = response.into_parts();
    let body = body.collect().await.context(TRUNCATED)?;
    Ok(HttpResponse { status: parts.status, headers: parts.headers, body: body.to_bytes() })
}

impl ResponseStream {
    /// The next line without its end. `None` after the last.
    pub(in crate::cli) async fn next_line(&mut self) -> Result<Option<String>> {
        loop {
            if let Some(end) = self.text.iter().position(|byte| *byte == b'\n') {
                let rest = self.text.split_off(end + 1);
                let line = std::mem::replace(&mut self.text, rest);
                return Ok(Some(String::from_utf8_lossy(&line).trim_end().to_owned()));
            }
            let Some(frame) = self.body.frame().await else { return Ok(None) };
            if let Ok(data) = frame.context(TRUNCATED)?.into_data() {
                self.text.extend_from_slice(&data);
            }
        }
    }
}

/// Parses the URL of a server.
pub(in crate::cli) fn parse_url(text: &str) -> Result<Uri> {
    let url: Uri = text.parse().map_err(|error| anyhow!("'{text}' is not a URL: {error}"))?;
    match url.scheme_str() {
        Some("http") => {}
        Some("https") => {
            bail!("https is not supported; use the server's own address, or a client like curl")
        }
        _ => bail!("'{text}' is not a URL like http://127.0.0.1:8080"),
    }
    ensure!(url.query().is_none(), "a server's URL has no query");
    Ok(url)
}

/// Parses `Name: value`.
pub(in crate::cli) fn parse_header(text: &str) -> Result<Header> {
    let (name, value) =
        text.split_once(':').ok_or_else(|| anyhow!("'{text}' is not 'Name: value'"))?;
    let name = name.trim().parse().map_err(|_| anyhow!("'{name}' is not the name of a header"))?;
    let value = value
        .trim()
        .parse()
        .map_err(|_| anyhow!("the value of header '{name}' is not plain text"))?;
    Ok((name, value))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn urls_are_http() {
        for text in ["http://127.0.0.1:8080", "http://localhost", "http://[::1]:8080/wardian/"] {
            assert!(parse_url(text).is_ok(), "{text}");
        }
        for text in ["https://example.com", "127.0.0.1:8080", "localhost", "/v2", "http://x/?y", ""]
        {
            assert!(parse_url(text).is_err(), "{text}");
        }
    }

    #[test]
    fn headers_have_a_name_and_a_value() {
        let (name, value) = parse_header("Authorization: Bearer a:b").unwrap();
        assert_eq!((name.as_str(), value.to_str().unwrap()), ("authorization", "Bearer a:b"));
        for text in ["x", "a b: c", ": c", "x: a\nb: c"] {
            assert!(parse_header(text).is_err(), "{text}");
        }
    }
}

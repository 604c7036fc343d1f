//! One request over `wasi:http`.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// The target of a request: `GET http 127.0.0.1:80 /path`.
pub(crate) struct Target {
    method: Method,
    scheme: Scheme,
    authority: String,
    path: String,
}

/// Options of a request.
#[derive(Default)]
pub(crate) struct SendOptions {
    pub(crate) header: Option<(String, String)>,
    /// Bytes of the body.
    pub(crate) body: Option<usize>,
    /// True if the response is neither read nor dropped.
    pub(crate) leak_response: bool,
    /// The timeout of each stage.
    pub(crate) timeout_ms: Option<u64>,
}

/// The response; a status of 0 and the error if there was none.
pub(crate) struct HttpResponse {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

impl Target {
    pub(crate) fn parse(text: &str) -> Option<Target> {
        let [method, scheme, authority, path] =
            text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "CONNECT" => Method::Connect,
            other => Method::Other(other.to_owned()),
        };
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        Some(Target { method, scheme, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// A GET request for a URL.
    pub(crate) fn get(url: &str) -> Option<Target> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        Target::parse(&format!("GET {scheme} {authority} /{path}"))
    }
}

impl HttpResponse {
    pub(crate) fn failed(text: String) -> HttpResponse {
        HttpResponse { status: 0, text, location: None }
    }
}

/// Sends a request and reads its response. Fails with the interface's error as text.
pub(crate) fn send(target: &Target, options: &SendOptions) -> Result<HttpResponse, String> {
    let future = begin(target, options)?;
    let response = wait(&future)?;
    if options.leak_response {
        let status = response.status();
        std::mem::forget((future, response));
        return Ok(HttpResponse { status, text: String::new(), location: None });
    }
    let location =
        response.headers().get("location").pop().and_then(|value| String::from_utf8(value).ok());
    Ok(HttpResponse { status: response.status(), text: read(&response)?, location })
}

fn begin(target: &Target, options: &SendOptions) -> Result<FutureIncomingResponse, String> {
    let fields = Fields::new();
    if let Some((name, value)) = &options.header {
        fields.append(name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&target.method).map_err(|()| "the method is refused")?;
    request.set_scheme(Some(&target.scheme)).map_err(|()| "the scheme is refused")?;
    request.set_authority(Some(&target.authority)).map_err(|()| "the authority is refused")?;
    request.set_path_with_query(Some(&target.path)).map_err(|()| "the path is refused")?;
    let body = request.body().map_err(|()| "there is no body")?;
    let future = outgoing_handler::handle(request, request_options(options))
        .map_err(|error| format!("{error:?}"))?;
    // A response, or a more specific error, may arrive although the body was not read completely.
    let _ = write(body, options.body.unwrap_or(0));
    Ok(future)
}

fn request_options(options: &SendOptions) -> Option<RequestOptions> {
    let timeout = options.timeout_ms.map(|milliseconds| milliseconds * 1_000_000)?;
    let timeouts = RequestOptions::new();
    let _ = timeouts.set_connect_timeout(Some(timeout));
    let _ = timeouts.set_first_byte_timeout(Some(timeout));
    let _ = timeouts.set_between_bytes_timeout(Some(timeout));
    Some(timeouts)
}

fn write(body: OutgoingBody, bytes: usize) -> Result<(), StreamError> {
    let stream = body.write().map_err(|()| StreamError::Closed)?;
    let chunk = [b'x'; 4096];
    let mut left = bytes;
    while left > 0 {
        let now = left.min(chunk.len());
        stream.blocking_write_and_flush(&chunk[..now])?;
        left -= now;
    }
    drop(stream);
    OutgoingBody::finish(body, None).map_err(|_| StreamError::Closed)
}

fn wait(future: &FutureIncomingResponse) -> Result<IncomingResponse, String> {
    future.subscribe().block();
    match future.get() {
        Some(Ok(Ok(response))) => Ok(response),
        Some(Ok(Err(error))) => Err(format!("{error:?}")),
        other => Err(format!("{other:?}")),
    }
}

fn read(response: &IncomingResponse) -> Result<String, String> {
    let body = response.consume().map_err(|()| "there is no body")?;
    let stream = body.stream().map_err(|()| "there is no stream")?;
    let mut content = Vec::new();
    loop {
        match stream.blocking_read(64 << 10) {
            Ok(chunk) => content.extend(chunk),
            Err(StreamError::Closed) => break,
            Err(StreamError::LastOperationFailed(error)) => return Err(error.to_debug_string()),
        }
    }
    drop(stream);
    IncomingBody::finish(body);
    Ok(String::from_utf8_lossy(&content).into_owned())
}

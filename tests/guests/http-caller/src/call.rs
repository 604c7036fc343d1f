//! One request over `wasi:http`.

use wasip2::http::outgoing_handler;
use wasip2::http::types::{
    Fields, FutureIncomingResponse, IncomingBody, IncomingResponse, Method, OutgoingBody,
    OutgoingRequest, RequestOptions, Scheme,
};
use wasip2::io::streams::StreamError;

/// The target of a request: `GET http 127.0.0.1:80 /path`.
pub(crate) struct Ask {
    method: Method,
    scheme: Scheme,
    authority: String,
    path: String,
}

/// Options of a request.
#[derive(Default)]
pub(crate) struct How {
    pub(crate) header: Option<(String, String)>,
    /// Bytes of the body.
    pub(crate) body: Option<usize>,
    /// True if the response is neither read nor dropped.
    pub(crate) keep: bool,
    /// The timeout of each stage.
    pub(crate) patience_ms: Option<u64>,
}

/// The response; a status of 0 and the error if there was none.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) text: String,
    pub(crate) location: Option<String>,
}

impl Ask {
    pub(crate) fn parse(text: &str) -> Option<Ask> {
        let [method, scheme, authority, path] =
            text.split(' ').collect::<Vec<_>>().try_into().ok()?;
        let method = match method {
            "GET" => Method::Get,
            "POST" => Method::Post,
            "CONNECT" => Method::Connect,
            other => Method::Other(other.to_owned()),
        };
        let scheme = if scheme == "https" { Scheme::Https } else { Scheme::Http };
        Some(Ask { method, scheme, authority: authority.to_owned(), path: path.to_owned() })
    }

    /// A GET request for a URL.
    pub(crate) fn get(url: &str) -> Option<Ask> {
        let (scheme, rest) = url.split_once("://")?;
        let (authority, path) = rest.split_once('/')?;
        Ask::parse(&format!("GET {scheme} {authority} /{path}"))
    }
}

impl Answer {
    pub(crate) fn failed(text: String) -> Answer {
        Answer { status: 0, text, location: None }
    }
}

/// Sends a request and reads its response. Fails with the interface's error as text.
pub(crate) fn send(ask: &Ask, how: &How) -> Result<Answer, String> {
    let future = begin(ask, how)?;
    let response = wait(&future)?;
    if how.keep {
        let status = response.status();
        std::mem::forget((future, response));
        return Ok(Answer { status, text: String::new(), location: None });
    }
    let location =
        response.headers().get("location").pop().and_then(|value| String::from_utf8(value).ok());
    Ok(Answer { status: response.status(), text: read(&response)?, location })
}

fn begin(ask: &Ask, how: &How) -> Result<FutureIncomingResponse, String> {
    let fields = Fields::new();
    if let Some((name, value)) = &how.header {
        fields.append(name, value.as_bytes()).map_err(|error| format!("{error:?}"))?;
    }
    let request = OutgoingRequest::new(fields);
    request.set_method(&ask.method).map_err(|()| "the method is refused")?;
    request.set_scheme(Some(&ask.scheme)).map_err(|()| "the scheme is refused")?;
    request.set_authority(Some(&ask.authority)).map_err(|()| "the authority is refused")?;
    request.set_path_with_query(Some(&ask.path)).map_err(|()| "the path is refused")?;
    let body = request.body().map_err(|()| "there is no body")?;
    let future =
        outgoing_handler::handle(request, options(how)).map_err(|error| format!("{error:?}"))?;
    // A response, or a more specific error, may arrive although the body was not read completely.
    let _ = write(body, how.body.unwrap_or(0));
    Ok(future)
}

fn options(how: &How) -> Option<RequestOptions> {
    let patience = how.patience_ms.map(|milliseconds| milliseconds * 1_000_000)?;
    let options = RequestOptions::new();
    let _ = options.set_connect_timeout(Some(patience));
    let _ = options.set_first_byte_timeout(Some(patience));
    let _ = options.set_between_bytes_timeout(Some(patience));
    Some(options)
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

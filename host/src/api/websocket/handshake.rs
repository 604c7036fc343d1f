//! The handshake: a request of HTTP/1.1 that asks for an upgrade (RFC 6455, section 4).

use axum::body::{Body, HttpBody};
use axum::http::header::{
    AUTHORIZATION, CONNECTION, SEC_WEBSOCKET_ACCEPT, SEC_WEBSOCKET_KEY, SEC_WEBSOCKET_PROTOCOL,
    SEC_WEBSOCKET_VERSION, UPGRADE,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, Request, StatusCode, Version};
use axum::response::{IntoResponse, Response};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::api::api_key_header::API_KEY_HEADER;
use crate::api::error::ApiError;
use crate::model::InferError;

/// The subprotocol that the server answers with. Browsers end a connection whose subprotocols the
/// server passes over.
const SUBPROTOCOL: &str = "wardian";

/// A subprotocol with this prefix carries the API key of a browser, whose interface sets no other
/// header.
const KEY_PREFIX: &str = "wardian.key.";

/// The text that a server appends to the key of a handshake.
const ACCEPT_SUFFIX: &[u8] = b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// A valid handshake.
#[derive(Debug)]
pub(in crate::api) struct Handshake {
    accept: HeaderValue,
    has_subprotocol: bool,
}

impl Handshake {
    /// Checks a request. Fails with the response for a request that is none.
    pub(in crate::api) fn check(request: &Request<Body>) -> Result<Handshake, Box<Response>> {
        let headers = request.headers();
        let asks = request.method() == Method::GET
            && request.version() == Version::HTTP_11
            && is_listed(headers, &UPGRADE, "websocket")
            && is_listed(headers, &CONNECTION, "upgrade");
        if !asks {
            let text = "this path takes WebSocket connections; connect to it with ws:// or wss://, \
                        over HTTP/1.1";
            return Err(Box::new(upgrade_required(text)));
        }

        let version = headers.get(SEC_WEBSOCKET_VERSION).map(HeaderValue::as_bytes);
        if version != Some(b"13") {
            let text = "the only Sec-WebSocket-Version of this server is 13";
            return Err(Box::new(upgrade_required(text)));
        }

        let invalid = |text: &str| {
            Box::new(ApiError::from(InferError::InvalidInput(text.into())).into_response())
        };
        if !request.body().is_end_stream() {
            return Err(invalid("a WebSocket handshake has no body"));
        }
        let accept = accept(headers).ok_or_else(|| {
            invalid("the header Sec-WebSocket-Key must be 16 bytes in Base64, given once")
        })?;

        Ok(Handshake {
            accept,
            has_subprotocol: is_listed(headers, &SEC_WEBSOCKET_PROTOCOL, SUBPROTOCOL),
        })
    }

    /// Returns the response that accepts the handshake.
    pub(in crate::api) fn into_response(self) -> Response {
        let mut response = StatusCode::SWITCHING_PROTOCOLS.into_response();
        let headers = response.headers_mut();
        headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
        headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
        headers.insert(SEC_WEBSOCKET_ACCEPT, self.accept);
        if self.has_subprotocol {
            headers.insert(SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
        }

        response
    }
}

/// Makes the API keys among the subprotocols of a handshake its header `Authorization`, unless it
/// has a key in a header.
pub(in crate::api) fn move_key_to_header(headers: &mut HeaderMap) {
    let has_key = headers.contains_key(AUTHORIZATION) || headers.contains_key(API_KEY_HEADER);
    if has_key || !is_listed(headers, &UPGRADE, "websocket") {
        return;
    }

    let keys: Vec<_> = listed(headers, &SEC_WEBSOCKET_PROTOCOL)
        .filter_map(|name| name.strip_prefix(KEY_PREFIX))
        .filter_map(|key| HeaderValue::from_str(&format!("Bearer {key}")).ok())
        .collect();
    // Several are refused like several headers.
    for key in keys {
        headers.append(AUTHORIZATION, key);
    }
}

/// Returns the answer to the key of a handshake; `None` if there is no valid key.
fn accept(headers: &HeaderMap) -> Option<HeaderValue> {
    let mut keys = headers.get_all(SEC_WEBSOCKET_KEY).iter();
    let (Some(key), None) = (keys.next(), keys.next()) else { return None };
    let is_valid = STANDARD.decode(key.as_bytes()).is_ok_and(|bytes| bytes.len() == 16);

    let hashed = [key.as_bytes(), ACCEPT_SUFFIX].concat();
    let digest = ring::digest::digest(&ring::digest::SHA1_FOR_LEGACY_USE_ONLY, &hashed);
    let accept = HeaderValue::from_str(&STANDARD.encode(digest)).ok();
    accept.filter(|_| is_valid)
}

fn upgrade_required(text: &str) -> Response {
    let error = ApiError::new(StatusCode::UPGRADE_REQUIRED, "upgrade_required", text);
    let mut response = error.into_response();
    let headers = response.headers_mut();
    headers.insert(UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(CONNECTION, HeaderValue::from_static("Upgrade"));
    headers.insert(SEC_WEBSOCKET_VERSION, HeaderValue::from_static("13"));

    response
}

/// True if a header lists this name, in upper or lower case.
fn is_listed(headers: &HeaderMap, header: &HeaderName, name: &str) -> bool {
    listed(headers, header).any(|listed| listed.eq_ignore_ascii_case(name))
}

/// Returns the elements of a header that is a list.
fn listed<'h>(headers: &'h HeaderMap, header: &HeaderName) -> impl Iterator<Item = &'h str> {
    let values = headers.get_all(header).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|list| list.split(',').map(str::trim))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The handshake in RFC 6455, section 1.2.
    const VALID: [(&str, &str); 4] = [
        ("upgrade", "websocket"),
        ("connection", "keep-alive, Upgrade"),
        ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("sec-websocket-version", "13"),
    ];

    fn request(headers: &[(&str, &str)]) -> Request<Body> {
        let request = Request::builder().uri("/chat");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    }

    fn status(request: &Request<Body>) -> u16 {
        Handshake::check(request).map_or_else(|response| response.status().as_u16(), |_| 101)
    }

    #[test]
    fn a_valid_handshake_is_accepted() {
        let offered = [&VALID[..], &[("sec-websocket-protocol", "chat, wardian")]].concat();
        for (headers, subprotocol) in [(&VALID[..], None), (&offered, Some("wardian"))] {
            let response = Handshake::check(&request(headers)).unwrap().into_response();
            let header = |name| response.headers().get(name).map(|value| value.to_str().unwrap());
            assert_eq!(response.status(), 101);
            assert_eq!(header("sec-websocket-accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
            assert_eq!(header("sec-websocket-protocol"), subprotocol);
        }
    }

    #[test]
    fn requests_that_are_no_handshake_are_refused() {
        for (index, missing) in VALID.iter().enumerate() {
            let mut headers = VALID.to_vec();
            headers.remove(index);
            let expected = if missing.0 == "sec-websocket-key" { 400 } else { 426 };
            assert_eq!(status(&request(&headers)), expected, "without {missing:?}");
        }

        for (name, value, expected) in [
            ("upgrade", "h2c", 426),
            ("connection", "close", 426),
            ("sec-websocket-version", "8", 426),
            ("sec-websocket-key", "c2hvcnQ=", 400),
            ("sec-websocket-key", "dGhlIHNhbXBsZSBub25jZQ", 400),
        ] {
            let changed = |pair: (&'static str, &'static str)| {
                if pair.0 == name { (name, value) } else { pair }
            };
            assert_eq!(status(&request(&VALID.map(changed))), expected, "{name}: {value}");
        }

        let twice = [&VALID[..], &VALID[2..3]].concat();
        assert_eq!(status(&request(&twice)), 400);

        let mut other = request(&VALID);
        *other.method_mut() = Method::HEAD;
        assert_eq!(status(&other), 426);
        let mut other = request(&VALID);
        *other.version_mut() = Version::HTTP_2;
        assert_eq!(status(&other), 426);
        let with_body = request(&VALID).map(|_| Body::from("a"));
        assert_eq!(status(&with_body), 400);
    }

    #[test]
    fn a_key_among_the_subprotocols_becomes_a_header() {
        let authorization = |headers: &[(&str, &str)]| {
            let mut request = request(headers);
            move_key_to_header(request.headers_mut());
            let values = request.headers().get_all(AUTHORIZATION).iter();
            values.map(|value| value.to_str().unwrap().to_owned()).collect::<Vec<_>>()
        };
        let offer = ("sec-websocket-protocol", "wardian, wardian.key.abc");
        let upgrade = VALID[0];

        assert_eq!(authorization(&[upgrade, offer]), ["Bearer abc"]);
        assert_eq!(authorization(&[offer]), [""; 0], "no handshake");
        assert_eq!(authorization(&[upgrade, offer, ("authorization", "Bearer x")]), ["Bearer x"]);
        assert_eq!(authorization(&[upgrade, offer, ("x-api-key", "x")]), [""; 0]);
        assert_eq!(authorization(&[upgrade, offer, offer]).len(), 2, "it is ambiguous");
    }
}

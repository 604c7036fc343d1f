//! Rules for request heads that apply before routing.
//!
//! Proxies may interpret an ambiguous head differently, so ambiguous heads are rejected.

use axum::body::Body;
use axum::http::header::{
    CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HOST, ORIGIN, TRANSFER_ENCODING,
};
use axum::http::{HeaderMap, HeaderName, Request, Version};

use super::auth::TENANT_HEADER;
use super::error::ApiError;
use crate::model::InferError;

/// Headers that the server acts on and that have a single value. Implementations differ in which
/// one of several values they use.
///
/// Repeated API keys are rejected in `auth`, like wrong keys. `Transfer-Encoding` has its own
/// rule. Several `X-Request-Id` headers are harmless: they only identify the request in the log and
/// in its response.
const SINGLE_VALUE_HEADERS: [HeaderName; 12] = [
    HOST,
    TENANT_HEADER,
    ORIGIN,
    CONTENT_LENGTH,
    CONTENT_TYPE,
    CONTENT_ENCODING,
    HeaderName::from_static("inference-header-content-length"),
    HeaderName::from_static("wardian-deadline-ms"),
    HeaderName::from_static("x-amzn-sagemaker-target-model"),
    HeaderName::from_static("sec-fetch-site"),
    HeaderName::from_static("sec-fetch-mode"),
    HeaderName::from_static("sec-fetch-dest"),
];

/// Checks a request head. Fails if it breaks a rule.
pub(super) fn check(request: &Request<Body>) -> Result<(), ApiError> {
    let headers = request.headers();
    if request.version() >= Version::HTTP_11 && !names_host(request) {
        return Err(invalid_head("a request needs the header Host"));
    }

    if let Some(name) = repeated_header(headers) {
        return Err(invalid_head(&format!("the header {name} is given more than once")));
    }

    match headers.get(TRANSFER_ENCODING) {
        Some(coding) if !coding.as_bytes().trim_ascii().eq_ignore_ascii_case(b"chunked") => {
            Err(unknown_coding())
        }
        Some(_) if headers.get_all(TRANSFER_ENCODING).iter().nth(1).is_some() => {
            Err(unknown_coding())
        }
        _ => Ok(()),
    }
}

/// True if a request names its host. HTTP/2 has a field of its own for it.
fn names_host(request: &Request<Body>) -> bool {
    request.headers().contains_key(HOST)
        || (request.version() == Version::HTTP_2 && request.uri().authority().is_some())
}

/// Returns the first header of [`SINGLE_VALUE_HEADERS`] that occurs more than once.
fn repeated_header(headers: &HeaderMap) -> Option<HeaderName> {
    // Nearly all requests have no repeated header.
    if headers.len() == headers.keys_len() {
        return None;
    }
    SINGLE_VALUE_HEADERS.into_iter().find(|name| headers.get_all(name).iter().nth(1).is_some())
}

fn unknown_coding() -> ApiError {
    ApiError::unsupported(
        "the only Transfer-Encoding that this server reads is 'chunked'; compress with Content-Encoding",
    )
}

fn invalid_head(text: &str) -> ApiError {
    InferError::InvalidInput(text.into()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(version: Version, headers: &[(&str, &str)]) -> u16 {
        let request = Request::builder().version(version);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));

        check(&request.body(Body::empty()).unwrap())
            .err()
            .map_or(200, |error| error.status.as_u16())
    }

    #[test]
    fn ambiguous_heads_are_rejected() {
        let host = ("host", "a");
        assert_eq!(outcome(Version::HTTP_11, &[]), 400);
        assert_eq!(outcome(Version::HTTP_10, &[]), 200);

        for version in [Version::HTTP_10, Version::HTTP_11] {
            assert_eq!(outcome(version, &[host]), 200);
            for name in SINGLE_VALUE_HEADERS {
                let name = name.as_str();
                assert_eq!(
                    outcome(version, &[("host", "a"), (name, "a"), (name, "a")]),
                    400,
                    "{name}"
                );
            }
            for name in ["accept", "x-api-key"] {
                assert_eq!(outcome(version, &[host, (name, "a"), (name, "b")]), 200, "{name}");
            }
        }
    }

    #[test]
    fn only_chunked_transfer_encoding_is_accepted() {
        let of = |codings: &[&str]| {
            let codings = codings.iter().map(|coding| ("transfer-encoding", *coding));
            outcome(
                Version::HTTP_11,
                &std::iter::once(("host", "a")).chain(codings).collect::<Vec<_>>(),
            )
        };

        assert_eq!((of(&["chunked"]), of(&["Chunked "])), (200, 200));
        for codings in
            [&["gzip, chunked"][..], &["gzip", "chunked"], &["chunked", "chunked"], &["identity"]]
        {
            assert_eq!(of(codings), 501, "{codings:?}");
        }
    }
}

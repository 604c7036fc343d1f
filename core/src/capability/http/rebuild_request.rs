//! Rebuilds a guest's request, so that only the checked origin determines its destination.

use hyper::header::{CONTENT_LENGTH, HOST};
use hyper::{Request, Uri, Version};
use wasmtime_wasi_http::{Error, WasiBody};

use super::body::{MAX_BODY, RequestBody, limited};
use crate::model::Origin;

/// The longest path with its query, in bytes, as common servers accept it.
const MAX_PATH: usize = 8 << 10;

/// Returns the request with the scheme and the authority of `origin`; the client derives `Host`
/// from them.
///
/// # Errors
/// If the path is too long, if it could be read as a whole URL, or if the body is announced as too
/// large.
pub(super) fn rebuild_request(
    request: Request<WasiBody>,
    origin: &Origin,
) -> Result<Request<RequestBody>, Error> {
    let (mut parts, body) = request.into_parts();
    parts.uri = rebuild_uri(&parts.uri, origin)?;
    parts.version = Version::HTTP_11;

    // The client derives it from the URL. A guest cannot set it in the first place.
    parts.headers.remove(HOST);

    let announced = parts
        .headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<u64>().ok());
    if announced.is_some_and(|length| length > MAX_BODY as u64) {
        return Err(Error::HttpRequestBodySize(announced));
    }

    Ok(Request::from_parts(parts, limited(body)))
}

fn rebuild_uri(guest_uri: &Uri, origin: &Origin) -> Result<Uri, Error> {
    let path = guest_uri.path_and_query().map_or("/", |path| path.as_str());
    if path.len() > MAX_PATH {
        return Err(Error::HttpRequestUriTooLong);
    }

    // A server reads a whole URL in the request line as the name of another host.
    if !path.starts_with('/') {
        return Err(Error::HttpRequestUriInvalid);
    }

    let uri = Uri::builder()
        .scheme(origin.scheme().name())
        .authority(origin.authority())
        .path_and_query(path);
    uri.build().map_err(|_| Error::HttpRequestUriInvalid)
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;
    use http_body_util::{BodyExt, Empty};

    use super::*;

    fn rebuilt(uri: &str, headers: &[(&str, &str)]) -> Result<Request<RequestBody>, Error> {
        let mut request = Request::builder().uri(uri);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let body = Empty::<Bytes>::new().map_err(|never| match never {}).boxed_unsync();
        rebuild_request(
            request.body(body).unwrap(),
            &Origin::parse("https://api.example.com").unwrap(),
        )
    }

    #[test]
    fn only_the_path_is_taken_from_the_guest() {
        for (given, sent) in [
            ("https://api.example.com/a?b", "https://api.example.com/a?b"),
            ("https://evil.example/a", "https://api.example.com/a"),
            ("https://api.example.com", "https://api.example.com/"),
            ("/a", "https://api.example.com/a"),
        ] {
            let request = rebuilt(given, &[("host", "evil.example")]).unwrap();
            assert_eq!(request.uri().to_string(), sent);
            assert!(request.headers().get(HOST).is_none());
        }
    }

    #[test]
    fn a_path_is_absolute_and_limited() {
        assert!(matches!(rebuilt("*", &[]), Err(Error::HttpRequestUriInvalid)));
        let long = format!("/{}", "x".repeat(MAX_PATH));
        assert!(matches!(rebuilt(&long, &[]), Err(Error::HttpRequestUriTooLong)));
    }

    #[test]
    fn a_body_announced_as_too_large_is_refused() {
        let announced =
            |length: usize| rebuilt("/", &[("content-length", &length.to_string())]).map(drop);
        assert!(announced(MAX_BODY).is_ok());
        assert!(matches!(announced(MAX_BODY + 1), Err(Error::HttpRequestBodySize(Some(_)))));
    }
}

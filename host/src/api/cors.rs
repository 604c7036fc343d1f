//! Cross-origin resource sharing: web pages of other origins that may call the server.
//!
//! A browser hides a response from such a page unless the response names the page's origin, and
//! asks beforehand, with a preflight, for requests that a form could not send. Both are answered
//! for the configured origins. A preflight carries no API key, so the origins are the server's and
//! not a tenant's.

use std::time::Duration;

use axum::body::Body;
use axum::http::header::{
    ACCESS_CONTROL_ALLOW_CREDENTIALS, ACCESS_CONTROL_ALLOW_HEADERS, ACCESS_CONTROL_ALLOW_METHODS,
    ACCESS_CONTROL_ALLOW_ORIGIN, ACCESS_CONTROL_EXPOSE_HEADERS, ACCESS_CONTROL_MAX_AGE,
    ACCESS_CONTROL_REQUEST_HEADERS, ACCESS_CONTROL_REQUEST_METHOD, ORIGIN, VARY,
};
use axum::http::{HeaderMap, HeaderValue, Method, Request, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::model::Origin;

/// The pages that may call the server.
#[derive(Clone, Debug)]
pub struct Cors {
    /// Origins of the pages; `None` for every origin, also that of a file.
    origins: Option<Vec<Origin>>,
    /// True if browsers may send cookies, client certificates and passwords with such calls.
    credentials: bool,
    /// Time in seconds for which a browser may remember the answer to a preflight.
    max_age: HeaderValue,
}

/// Methods of all routes, those of models included.
const METHODS: HeaderValue = HeaderValue::from_static("GET, HEAD, POST, PUT, PATCH, DELETE");

/// Headers of responses that pages may read, beside those that browsers always show.
const EXPOSED: HeaderValue = HeaderValue::from_static(
    "allow, inference-header-content-length, retry-after, server-timing, www-authenticate, \
     x-request-id, x-should-retry",
);

const TRUE: HeaderValue = HeaderValue::from_static("true");
const ANY_ORIGIN: HeaderValue = HeaderValue::from_static("*");
const VARY_ORIGIN: HeaderValue = HeaderValue::from_static("origin");

/// An allowed origin of a request, as its response names it.
pub(super) struct AllowedOrigin(HeaderValue);

impl Cors {
    /// Allows the pages of these origins; `None` for every origin.
    pub fn new(origins: Option<Vec<Origin>>, credentials: bool, max_age: Duration) -> Self {
        Cors { origins, credentials, max_age: HeaderValue::from(max_age.as_secs()) }
    }

    /// Returns the origin of a request's page; `None` if the request has none, or none that may
    /// call the server.
    pub(super) fn allowed_origin(&self, headers: &HeaderMap) -> Option<AllowedOrigin> {
        let sent = headers.get(ORIGIN)?;

        match &self.origins {
            None => Some(AllowedOrigin(ANY_ORIGIN)),
            Some(origins) => {
                let origin = Origin::parse(sent.to_str().ok()?).ok()?;
                origins.contains(&origin).then(|| AllowedOrigin(sent.clone()))
            }
        }
    }

    /// Returns the answer to a preflight of an allowed page; `None` for any other request.
    pub(super) fn preflight(&self, request: &Request<Body>) -> Option<Response> {
        let asked = request.headers();
        if request.method() != Method::OPTIONS || !asked.contains_key(ACCESS_CONTROL_REQUEST_METHOD)
        {
            return None;
        }

        let mut response = StatusCode::NO_CONTENT.into_response();
        let headers = response.headers_mut();
        headers.insert(ACCESS_CONTROL_ALLOW_METHODS, METHODS);
        headers.insert(ACCESS_CONTROL_MAX_AGE, self.max_age.clone());

        // A wildcard would leave out `Authorization`.
        if let Some(names) = asked.get(ACCESS_CONTROL_REQUEST_HEADERS) {
            headers.insert(ACCESS_CONTROL_ALLOW_HEADERS, names.clone());
        }

        Some(response)
    }

    /// Adds the headers of a response to a request with this origin.
    pub(super) fn add_headers(&self, origin: Option<AllowedOrigin>, response: &mut Response) {
        let headers = response.headers_mut();

        // A cache must not give one page what names another page.
        if self.origins.as_ref().is_some_and(|origins| !origins.is_empty()) {
            headers.append(VARY, VARY_ORIGIN);
        }

        let Some(AllowedOrigin(origin)) = origin else { return };
        headers.insert(ACCESS_CONTROL_ALLOW_ORIGIN, origin);
        headers.insert(ACCESS_CONTROL_EXPOSE_HEADERS, EXPOSED);

        if self.credentials {
            headers.insert(ACCESS_CONTROL_ALLOW_CREDENTIALS, TRUE);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const MAX_AGE: Duration = Duration::from_secs(600);

    fn listed(origins: &[&str]) -> Cors {
        let origins = origins.iter().map(|origin| Origin::parse(origin).unwrap()).collect();
        Cors::new(Some(origins), false, MAX_AGE)
    }

    fn any() -> Cors {
        Cors::new(None, false, MAX_AGE)
    }

    fn request(method: &str, headers: &[(&str, &str)]) -> Request<Body> {
        let request = Request::builder().method(method).uri("/v2");
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        request.body(Body::empty()).unwrap()
    }

    fn allowed(cors: &Cors, origin: &str) -> Option<String> {
        let request = request("GET", &[("origin", origin)]);
        let AllowedOrigin(origin) = cors.allowed_origin(request.headers())?;
        Some(origin.to_str().unwrap().to_owned())
    }

    #[test]
    fn only_listed_origins_are_allowed() {
        let cors = listed(&["https://app.example.com", "http://localhost:3000"]);

        for origin in ["https://app.example.com", "http://localhost:3000"] {
            assert_eq!(allowed(&cors, origin).as_deref(), Some(origin));
        }

        for origin in [
            "",
            "null",
            "*",
            "http://app.example.com",
            "https://app.example.com:8443",
            "https://app.example.com.evil.example",
            "https://evil.example/https://app.example.com",
            "https://x.app.example.com",
            "http://localhost",
            "https://app.example.com, https://evil.example",
        ] {
            assert_eq!(allowed(&cors, origin), None, "{origin}");
            assert_eq!(allowed(&listed(&[]), origin), None, "{origin}");
        }
    }

    #[test]
    fn a_wildcard_allows_every_origin() {
        for origin in ["https://evil.example", "null", "chrome-extension://abc"] {
            assert_eq!(allowed(&any(), origin).as_deref(), Some("*"));
        }
        assert!(any().allowed_origin(request("GET", &[]).headers()).is_none());
    }

    #[test]
    fn only_a_preflight_is_answered_as_one() {
        let method = ("access-control-request-method", "PUT");
        let names = ("access-control-request-headers", "authorization,x-mine");

        let answer = any().preflight(&request("OPTIONS", &[method, names])).unwrap();
        assert_eq!(answer.status(), 204);
        assert_eq!(answer.headers()[ACCESS_CONTROL_ALLOW_HEADERS], "authorization,x-mine");
        assert_eq!(answer.headers()[ACCESS_CONTROL_MAX_AGE], "600");

        let answer = any().preflight(&request("OPTIONS", &[method])).unwrap();
        assert!(!answer.headers().contains_key(ACCESS_CONTROL_ALLOW_HEADERS));

        assert!(any().preflight(&request("OPTIONS", &[])).is_none());
        assert!(any().preflight(&request("PUT", &[method])).is_none());
    }

    #[test]
    fn credentials_are_allowed_if_asked_for() {
        for credentials in [false, true] {
            let origins = vec![Origin::parse("https://app.example.com").unwrap()];
            let cors = Cors::new(Some(origins), credentials, MAX_AGE);
            let sent = request("GET", &[("origin", "https://app.example.com")]);

            let mut response = StatusCode::OK.into_response();
            cors.add_headers(cors.allowed_origin(sent.headers()), &mut response);
            let allows = response.headers().contains_key(ACCESS_CONTROL_ALLOW_CREDENTIALS);
            assert_eq!(allows, credentials);
        }
    }

    #[test]
    fn caches_learn_that_a_response_depends_on_its_origin() {
        let varies = |cors: &Cors| {
            let mut response = StatusCode::OK.into_response();
            cors.add_headers(None, &mut response);
            response.headers().contains_key(VARY)
        };

        assert!(varies(&listed(&["https://app.example.com"])));
        assert!(!varies(&listed(&[])) && !varies(&any()));
    }
}

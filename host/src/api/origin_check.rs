//! Protection of a server without API keys against requests from foreign web pages.
//!
//! Without API keys, every client that reaches the server can use it, and so can every web page in
//! a browser on such a machine. Browsers name the page in `Origin` and `Sec-Fetch-Site`. With DNS
//! rebinding a page has the same origin for the browser, but its name appears in `Host`.

use std::net::{IpAddr, SocketAddr};

use axum::body::Body;
use axum::http::header::{HOST, ORIGIN};
use axum::http::{HeaderMap, Method, Request, StatusCode};

use super::error::ApiError;
use super::json::shorten;
use crate::model::{Host, Origin};

/// The hosts under which a server without API keys answers.
#[derive(Clone, Debug)]
pub struct AllowedHosts {
    configured: Vec<Host>,
    /// True if the server listens on a non-loopback address. It may then be reached under addresses
    /// that it does not know.
    any_address: bool,
}

impl AllowedHosts {
    /// Combines the configured hosts with those that follow from the listen address.
    pub fn new(configured: Vec<Host>, listen: SocketAddr) -> Self {
        AllowedHosts { configured, any_address: !listen.ip().to_canonical().is_loopback() }
    }

    fn allows(&self, host: &Host) -> bool {
        self.configured.contains(host)
            || match host {
                Host::Name(name) => name == "localhost" || name.ends_with(".localhost"),
                // Pages can rebind names, but not addresses.
                Host::Address(address) => self.any_address || is_loopback(*address),
            }
    }

    /// Fails if the request names a host that is not the server's.
    pub(super) fn check(&self, request: &Request<Body>) -> Result<(), ApiError> {
        named_hosts(request).into_iter().flatten().try_for_each(|host| self.check_host(host))
    }

    /// Fails if the request head shows that a page of another origin sent the request.
    pub(super) fn check_page(&self, request: &Request<Body>) -> Result<(), ApiError> {
        let headers = request.headers();
        let [header, authority] = named_hosts(request);
        let host = header.or(authority);

        match headers.get(ORIGIN) {
            Some(origin) => self.check_origin(origin.to_str().unwrap_or_default(), host)?,
            None if is_navigation(request) => return Ok(()),
            None => {}
        }

        check_fetch_site(headers)
    }

    fn check_host(&self, authority: &str) -> Result<(), ApiError> {
        let host = Origin::from_parts("http", &strip_root_dot(authority)).ok();
        if host.is_some_and(|origin| self.allows(origin.host())) {
            return Ok(());
        }

        let text = format!(
            "without keys this server answers under the names of its own machine only, and not as '{}'; add the name \
             to http.hosts in wardian.toml, or configure keys",
            shorten(authority)
        );

        Err(ApiError::new(StatusCode::FORBIDDEN, "forbidden_host", text))
    }

    fn check_origin(&self, text: &str, host: Option<&str>) -> Result<(), ApiError> {
        let own = Origin::parse(text).is_ok_and(|origin| {
            let host = host.and_then(|host| Origin::from_parts(origin.scheme().name(), host).ok());
            // A proxy may forward another Host than the one that its clients use.
            host.is_some_and(|host| host == origin) || self.configured.contains(origin.host())
        });
        if own { Ok(()) } else { Err(forbidden_origin(&format!("the origin '{}'", shorten(text)))) }
    }
}

/// Returns the hosts that a request names: in `Host`, and in its URI.
fn named_hosts(request: &Request<Body>) -> [Option<&str>; 2] {
    let header = request.headers().get(HOST).map(|host| host.to_str().unwrap_or_default());
    [header, request.uri().authority().map(|authority| authority.as_str())]
}

/// Checks `Sec-Fetch-Site`. Pages on another port of the same machine are same-site, but belong to
/// another program.
fn check_fetch_site(headers: &HeaderMap) -> Result<(), ApiError> {
    match fetch_metadata(headers, "sec-fetch-site") {
        None | Some("same-origin" | "none") => Ok(()),
        Some(site) => Err(forbidden_origin(&format!("a page that is '{}'", shorten(site)))),
    }
}

/// True for navigation to one of the server's own pages. They contain no data and cannot be framed.
fn is_navigation(request: &Request<Body>) -> bool {
    let headers = request.headers();
    request.method() == Method::GET
        && matches!(request.uri().path(), "/" | "/dashboard" | "/docs")
        && fetch_metadata(headers, "sec-fetch-mode") == Some("navigate")
        && fetch_metadata(headers, "sec-fetch-dest") == Some("document")
}

fn fetch_metadata<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).map(|value| value.to_str().unwrap_or_default())
}

fn forbidden_origin(whose: &str) -> ApiError {
    let text = format!(
        "without keys this server answers its own pages and programs only, and not {whose}; configure keys, or add \
         the page's host to http.hosts in wardian.toml if it is this server's own, or its origin to cors.origins"
    );
    ApiError::new(StatusCode::FORBIDDEN, "forbidden_origin", text)
}

/// Removes the dot of the root domain at the end of a name.
fn strip_root_dot(authority: &str) -> String {
    match authority.split_once(':') {
        Some((name, port)) if name.ends_with('.') => {
            format!("{}:{port}", name.trim_end_matches('.'))
        }
        _ => authority.strip_suffix('.').unwrap_or(authority).to_owned(),
    }
}

fn is_loopback(address: IpAddr) -> bool {
    address.to_canonical().is_loopback()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn hosts(listen: &str) -> AllowedHosts {
        AllowedHosts::new(vec![Host::parse("models.example.com").unwrap()], listen.parse().unwrap())
    }

    fn code(
        hosts: &AllowedHosts,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
    ) -> &'static str {
        let request = Request::builder().method(method).uri(path);
        let request =
            headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        let request = request.body(Body::empty()).unwrap();
        let outcome = hosts.check(&request).and_then(|()| hosts.check_page(&request));
        outcome.err().map_or("", |error| error.code)
    }

    #[test]
    fn only_local_and_configured_hosts_are_allowed() {
        let local = hosts("127.0.0.1:8080");
        let open = hosts("0.0.0.0:8080");
        let of = |hosts: &AllowedHosts, host: &str| code(hosts, "GET", "/v2", &[("host", host)]);

        for host in [
            "localhost",
            "LOCALHOST:8080",
            "localhost.",
            "localhost.:80",
            "a.localhost",
            "127.0.0.1",
            "127.9.9.9:1",
            "[::1]:8080",
            "[::ffff:127.0.0.1]",
            "models.example.com:443",
            "Models.Example.Com",
        ] {
            assert_eq!((of(&local, host), of(&open, host)), ("", ""), "{host}");
        }

        for host in ["10.0.0.1:8080", "[2001:db8::1]", "0.0.0.0"] {
            assert_eq!((of(&local, host), of(&open, host)), ("forbidden_host", ""), "{host}");
        }

        for host in [
            "",
            "evil.example",
            "localhost.evil.example",
            "notlocalhost",
            "127.0.0.1.evil.example",
            "127.1",
            "localhost@evil.example",
            "x.models.example.com",
            "localhost:port",
        ] {
            assert_eq!(
                (of(&local, host), of(&open, host)),
                ("forbidden_host", "forbidden_host"),
                "{host}"
            );
        }

        assert_eq!(
            code(&local, "GET", "http://evil.example/v2", &[("host", "localhost")]),
            "forbidden_host"
        );
        assert_eq!(code(&local, "GET", "/v2", &[]), "", "HTTP/1.0 has no Host");
    }

    #[test]
    fn only_same_origin_pages_are_allowed() {
        let hosts = hosts("127.0.0.1:8080");
        let of = |host: &str, origin: &str| {
            code(&hosts, "POST", "/v2", &[("host", host), ("origin", origin)])
        };

        for (host, origin) in [
            ("localhost:8080", "http://localhost:8080"),
            ("localhost", "http://localhost"),
            ("models.example.com", "https://models.example.com"),
            ("models.example.com:80", "http://MODELS.example.com"),
            ("127.0.0.1:8080", "https://models.example.com"),
        ] {
            assert_eq!(of(host, origin), "", "{origin} at {host}");
        }

        for origin in [
            "",
            "null",
            "https://evil.example",
            "http://localhost",
            "http://localhost:3000",
            "http://127.0.0.1:8080",
            "file://",
            "chrome-extension://abc",
        ] {
            assert_eq!(of("localhost:8080", origin), "forbidden_origin", "{origin}");
        }
    }

    #[test]
    fn cross_site_navigation_is_limited_to_own_pages() {
        let hosts = hosts("127.0.0.1:8080");
        let host = ("host", "localhost");

        let of = |path: &str, site: &str, mode: &str, dest: &str| {
            let fetch =
                [("sec-fetch-site", site), ("sec-fetch-mode", mode), ("sec-fetch-dest", dest)];
            code(&hosts, "GET", path, &[&[host][..], &fetch].concat())
        };

        for site in ["same-origin", "none"] {
            assert_eq!(of("/v2", site, "cors", "empty"), "");
        }

        for site in ["cross-site", "same-site", "anything"] {
            assert_eq!(of("/v2", site, "navigate", "document"), "forbidden_origin");
            assert_eq!(of("/docs", site, "no-cors", "empty"), "forbidden_origin");
            assert_eq!(of("/docs", site, "navigate", "iframe"), "forbidden_origin");
            assert_eq!(
                (of("/docs", site, "navigate", "document"), of("/", site, "navigate", "document")),
                ("", "")
            );
        }
    }
}

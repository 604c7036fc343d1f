//! The checks of a request's head on every route: web pages of other origins, ambiguous heads and
//! repeated headers.

use wardian::api::routes;

use crate::harness::{Response, Server, scripted};
use crate::tenants::{HOST, key, path};

const PAGES: [(&[(&str, &str)], &str); 8] = [
    (&[("origin", "https://evil.example")], "forbidden_origin"),
    (&[("origin", "null")], "forbidden_origin"),
    (&[("origin", "http://localhost:1")], "forbidden_origin"),
    (&[("sec-fetch-site", "cross-site")], "forbidden_origin"),
    (&[("sec-fetch-site", "same-site")], "forbidden_origin"),
    (&[("sec-fetch-site", "cross-site"), ("origin", "https://evil.example")], "forbidden_origin"),
    (&[("host", "evil.example")], "forbidden_host"),
    (
        &[
            ("host", "evil.example"),
            ("origin", "http://evil.example"),
            ("sec-fetch-site", "same-origin"),
        ],
        "forbidden_host",
    ),
];

fn server(config: &str) -> Server {
    let server = Server::with_models(|models| {
        for name in ["steady", "spare"] {
            models.version(name, 1, scripted("version=1"));
        }
    });
    let server = server.config(config).start();
    server.until_tried();
    server
}

/// Requests every route with these headers, and checks each response.
fn ask_all(server: &Server, headers: &[(&str, &str)], check: impl Fn(&Response, &str)) {
    for route in routes() {
        let mut call = server.call(route.method, &path(&route));
        for (name, value) in headers {
            call = if *name == "host" { call.host(value) } else { call.header(name, value) };
        }
        // A valid body would change a repository; for a model an invalid one is enough.
        let body = if route.path.contains("/repository/") { "{}" } else { "x" };
        check(&call.body(body).send(), &format!("{route:?} {headers:?}"));
    }
}

#[test]
fn without_keys_every_route_refuses_foreign_origins() {
    let server = server("");
    let before = server.index();
    for (headers, code) in PAGES {
        ask_all(&server, headers, |response, context| {
            assert_eq!(response.outcome(), (403, code.to_owned()), "{context}");
            assert!(response.text().contains("http.hosts"), "{context}: {response}");
        });
    }
    server.call("GET", "/nowhere").header("origin", "null").send().refused(403, "forbidden_origin");
    assert_eq!(server.index(), before, "a foreign page has changed something");
}

#[test]
fn without_keys_programs_and_own_pages_are_answered() {
    let server = server("[http]\nhosts = ['models.example.com']");
    let port = server.address().port();
    let own = format!("localhost:{port}");
    let origin = format!("http://{own}");
    for headers in [
        &[][..],
        &[("host", own.as_str()), ("origin", &origin), ("sec-fetch-site", "same-origin")],
        &[("sec-fetch-site", "none")],
        &[("host", "models.example.com")],
        &[("host", "models.example.com"), ("origin", "https://models.example.com")],
    ] {
        ask_all(&server, headers, |response, context| {
            assert_ne!(response.status, 403, "{context}: {response}")
        });
    }
    for page in ["/", "/dashboard", "/docs"] {
        let link = server.call("GET", page).header("sec-fetch-site", "cross-site");
        link.header("sec-fetch-mode", "navigate").header("sec-fetch-dest", "document").send().ok();
    }
}

#[test]
fn with_keys_the_key_decides() {
    let server = server(&format!("keys = [{}]\n[tenants.default]\n", key(HOST, &["admin"])));
    for (headers, _) in PAGES {
        ask_all(&server, headers, |response, context| {
            assert!(!response.text().contains("forbidden_"), "{context}: {response}");
        });
    }
}

#[test]
fn an_ambiguous_head_is_refused_on_every_route() {
    let server = server("");
    for (head, body, status) in [
        ("", "", 400),
        ("host: localhost\r\nhost: localhost\r\n", "", 400),
        ("host: localhost\r\nwardian-tenant: a\r\nwardian-tenant: default\r\n", "", 400),
        ("host: localhost\r\ntransfer-encoding: gzip, chunked\r\n", "0\r\n\r\n", 501),
    ] {
        for route in routes() {
            let mut wire = super::wire::Wire::to(&server);
            let (method, path) = (route.method, path(&route));
            wire.send(format!("{method} {path} HTTP/1.1\r\n{head}connection: close\r\n\r\n{body}"))
                .unwrap();
            let answer = wire.answer().unwrap();
            assert_eq!(answer.status, status, "{route:?} {head:?} {answer:?}");
        }
    }
}

#[test]
fn duplicate_control_headers_are_refused() {
    let server = server("");
    for (name, value) in [
        ("content-length", "2"),
        ("content-type", "application/json"),
        ("content-encoding", "gzip"),
        ("inference-header-content-length", "2"),
        ("wardian-deadline-ms", "1000"),
        ("wardian-tenant", "default"),
        ("x-amzn-sagemaker-target-model", "steady"),
        ("origin", "http://localhost"),
        ("sec-fetch-site", "none"),
    ] {
        for path in ["/v2/models/steady/infer", "/invocations"] {
            let mut wire = super::wire::Wire::to(&server);
            let length = if name == "content-length" { "" } else { "content-length: 2\r\n" };
            let twice = format!("{name}: {value}\r\n").repeat(2);
            wire.send(format!(
                "POST {path} HTTP/1.1\r\nhost: localhost\r\n{length}{twice}\r\n{{}}"
            ))
            .unwrap();
            assert_eq!(wire.answer().unwrap().status, 400, "{name} {path}");
        }
    }
}

#[test]
fn a_key_is_given_once() {
    let server = server(&format!("keys = [{}]\n[tenants.default]\n", key(HOST, &["admin"])));
    for header in [format!("x-api-key: {HOST}\r\n"), format!("authorization: Bearer {HOST}\r\n")] {
        for (count, status) in [(1, 200), (2, 401)] {
            let mut wire = super::wire::Wire::to(&server);
            let keys = header.repeat(count);
            wire.send(format!("GET /v2 HTTP/1.1\r\nhost: localhost\r\n{keys}\r\n")).unwrap();
            assert_eq!(wire.answer().unwrap().status, status, "{keys}");
        }
    }
}

const APP: &str = "https://app.example.com";

/// Sends the preflight of a page that wants to call the inference route with a key.
fn preflight(server: &Server, origin: &str, path: &str) -> Response {
    server
        .call("OPTIONS", path)
        .header("origin", origin)
        .header("sec-fetch-site", "cross-site")
        .header("sec-fetch-mode", "cors")
        .header("access-control-request-method", "POST")
        .header("access-control-request-headers", "authorization,content-type")
        .send()
}

fn cors_headers(response: &Response) -> Vec<(&str, &str)> {
    let headers = response.headers.iter();
    let cors = headers.filter(|(name, _)| name.starts_with("access-control-"));
    cors.map(|(name, value)| (name.as_str(), value.as_str())).collect()
}

#[test]
fn a_listed_page_calls_a_server_without_keys() {
    let server = server(&format!("[cors]\norigins = ['{APP}']"));

    let answer = preflight(&server, APP, "/v2/models/steady/infer");
    assert_eq!((answer.status, answer.body.len()), (204, 0), "{answer}");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP));
    assert_eq!(answer.header("access-control-allow-headers"), Some("authorization,content-type"));
    assert!(answer.header("access-control-allow-methods").unwrap().contains("POST"));
    assert_eq!(answer.header("access-control-allow-credentials"), None);

    let page = [("origin", APP), ("sec-fetch-site", "cross-site")];
    ask_all(&server, &page, |response, context| {
        assert_ne!(response.status, 403, "{context}: {response}");
        assert_eq!(response.header("access-control-allow-origin"), Some(APP), "{context}");
        let exposed = response.header("access-control-expose-headers").unwrap();
        assert!(exposed.contains("x-request-id"), "{context}");
    });
}

#[test]
fn other_pages_are_refused_beside_a_listed_one() {
    let server = server(&format!("[cors]\norigins = ['{APP}']"));
    let before = server.index();

    for (headers, code) in PAGES {
        ask_all(&server, headers, |response, context| {
            assert_eq!(response.outcome(), (403, code.to_owned()), "{context}");
            assert!(cors_headers(response).is_empty(), "{context}");
        });
    }

    for origin in ["https://evil.example", "null", "http://app.example.com"] {
        let answer = preflight(&server, origin, "/v2/models/steady/infer");
        answer.refused(403, "forbidden_origin");
        assert!(cors_headers(&answer).is_empty(), "{answer}");
    }

    let rebound = server.call("GET", "/v2").host("evil.example").header("origin", APP).send();
    rebound.refused(403, "forbidden_host");
    assert_eq!(server.index(), before, "a foreign page has changed something");
}

#[test]
fn a_preflight_needs_no_key_and_opens_nothing() {
    let keys = format!("keys = [{}]\n", key(HOST, &["admin"]));
    let server = server(&format!("{keys}[cors]\norigins = ['{APP}']\n[tenants.default]\n"));

    for path in ["/v2/models/steady/infer", "/v2/tenants", "/nowhere"] {
        assert_eq!(preflight(&server, APP, path).status, 204, "{path}");
    }

    let page = || server.call("GET", "/v2/tenants").header("origin", APP);
    let answer = page().send();
    answer.refused(401, "unauthenticated");
    assert_eq!(answer.header("access-control-allow-origin"), Some(APP), "the page sees the error");
    page().header("authorization", &format!("Bearer {HOST}")).send().ok();

    let foreign = preflight(&server, "https://evil.example", "/v2/tenants");
    foreign.refused(401, "unauthenticated");
    assert!(cors_headers(&foreign).is_empty(), "{foreign}");
}

#[test]
fn pages_get_no_headers_by_default() {
    let server = server(&format!("keys = [{}]\n[tenants.default]\n", key(HOST, &["admin"])));
    let answer = preflight(&server, APP, "/v2/health/live");
    assert_eq!((answer.status, answer.header("allow")), (204, Some("GET,HEAD")));
    assert_eq!((cors_headers(&answer), answer.header("vary")), (vec![], None));
}

#[test]
fn every_page_may_read_where_every_origin_is_allowed() {
    let keys = format!("keys = [{}]\n", key(HOST, &["admin"]));
    let server = server(&format!("{keys}[cors]\norigins = '*'\n[tenants.default]\n"));

    for origin in ["https://evil.example", "null"] {
        let answer = server.call("GET", "/v2/health/live").header("origin", origin).send();
        assert_eq!(answer.ok().header("access-control-allow-origin"), Some("*"));
        assert_eq!(answer.header("access-control-allow-credentials"), None);
    }
}

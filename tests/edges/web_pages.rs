//! Every route, requested by web pages of other origins.

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

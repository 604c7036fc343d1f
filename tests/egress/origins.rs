//! The destinations that a request may have.

use serde_json::json;

use crate::harness::LOOPBACK_NAME;

use super::{Upstream, ask, caller, get, http, outcomes, send};

#[test]
fn a_listed_origin_is_called() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "");
    let got = get(&server, upstream.address, "/a?b=c");
    assert_eq!(got.status, 200, "{got:?}");
    assert!(got.text.contains("GET /a?b=c HTTP/1.1"), "{got:?}");
    assert!(got.text.contains(&format!("host: {}", upstream.address)), "{got:?}");
    let posted = ask(
        &server,
        format!("POST http {} /", upstream.address),
        json!({ "body": 1_000_000, "header": "authorization: Bearer word" }),
    );
    assert!(posted.text.contains("1000000 bytes came"), "{posted:?}");
    assert!(posted.text.contains("authorization: Bearer word"), "{posted:?}");
    assert_eq!(
        server.config_of("http-caller")["wardian"]["capabilities"]["http"],
        json!([http(upstream.address)])
    );
}

#[test]
fn a_listed_localhost_means_loopback() {
    let upstream = Upstream::start();
    let port = upstream.address.port();
    let server = caller(&[format!("http://LocalHost:{port}")], "");
    let got = ask(&server, format!("GET http localhost:{port} /"), json!({}));
    assert_eq!(got.status, 200, "{got:?}");
    let literal = get(&server, upstream.address, "/");
    assert_eq!((literal.status, literal.text.as_str()), (0, "ErrorCode::HttpRequestDenied"));
}

#[test]
fn unlisted_origins_are_refused() {
    let (listed, other) = (Upstream::start(), Upstream::start());
    let server = caller(&[http(listed.address)], "");
    let (port, other_port) = (listed.address.port(), other.address.port());
    let asks = [
        format!("GET http 127.0.0.1:{other_port} /"),
        format!("GET https 127.0.0.1:{port} /"),
        format!("GET http localhost:{port} /"),
        format!("GET http 127.0.0.2:{port} /"),
        format!("GET http 127.1:{port} /"),
        format!("GET http 2130706433:{port} /"),
        format!("GET http [::ffff:127.0.0.1]:{port} /"),
        format!("GET http 127.0.0.1:{port}@127.0.0.1:{other_port} /"),
        "GET http 169.254.169.254 /latest/meta-data/".to_owned(),
        "GET http example.com /".to_owned(),
    ];
    for (ask, got) in asks.iter().zip(outcomes(&send(&server, &asks, json!({})))) {
        assert_eq!((got.status, got.text.as_str()), (0, "ErrorCode::HttpRequestDenied"), "{ask}");
    }
    assert_eq!((listed.made(), other.made()), (0, 0));
    server.until_logged("the model's [capabilities] http does not list this origin");
    let log = server.log();
    let line =
        log.lines().find(|line| line.contains("refused GET http://169.254.169.254")).unwrap();
    for part in ["WARN", "tenant=default", "model=http-caller", "version=1"] {
        assert!(line.contains(part), "'{part}' is missing in {line}");
    }
    assert!(!log.contains("meta-data"), "a path can hold a secret: {log}");
}

#[test]
fn a_redirect_is_checked_like_any_request() {
    let (listed, other) = (Upstream::start(), Upstream::start());
    let server = caller(&[http(listed.address)], "");
    let follow = |to: &Upstream| {
        let ask = format!("GET http {} /to/{}/landed", listed.address, to.address);
        let got = outcomes(&send(&server, &[ask], json!({ "follow": true })));
        assert_eq!((got.len(), got[0].status), (2, 302), "{got:?}");
        (got[1].status, got[1].text.clone())
    };
    let (status, text) = follow(&listed);
    assert!(status == 200 && text.contains("GET /landed"), "{status} {text}");
    assert_eq!(follow(&other), (0, "ErrorCode::HttpRequestDenied".to_owned()));
    assert_eq!(other.made(), 0);
}

#[test]
fn a_guest_cannot_override_the_host_header() {
    let upstream = Upstream::start();
    let server = caller(&[http(upstream.address)], "");
    for header in [
        "host: evil.example",
        "Host: evil.example",
        "connection: keep-alive",
        "transfer-encoding: chunked",
    ] {
        let got =
            ask(&server, format!("GET http {} /", upstream.address), json!({ "header": header }));
        assert_eq!((got.status, got.text.contains("Forbidden")), (0, true), "{header}: {got:?}");
    }
    for path in ["http://evil.example/", "evil.example", "*", "@evil.example/"] {
        let got = get(&server, upstream.address, path);
        assert_eq!(got.status, 0, "{path}: {got:?}");
    }
    let tunnel = ask(&server, format!("CONNECT http {} /", upstream.address), json!({}));
    assert_eq!((tunnel.status, tunnel.text.as_str()), (0, "ErrorCode::HttpRequestMethodInvalid"));
    assert_eq!(upstream.heads(), [""; 0]);
}

#[test]
fn a_listed_name_with_a_private_address_is_refused() {
    let Some(name) = other_name_of_loopback() else {
        return LOOPBACK_NAME
            .skip("the system's hosts file has no name for 127.0.0.1 but localhost");
    };
    let upstream = Upstream::start();
    let port = upstream.address.port();
    let server = caller(&[format!("http://{name}:{port}")], "");
    let got = ask(&server, format!("GET http {name}:{port} /"), json!({}));
    assert_eq!((got.status, got.text.as_str()), (0, "ErrorCode::DestinationIpProhibited"));
    assert_eq!(upstream.made(), 0);
    server.until_logged(&format!(
        "refused GET http://{name}:{port}: its name leads to an address that is not public"
    ));
}

/// Returns a second name of the loopback address, as a stand-in for a name whose DNS record is
/// hostile.
fn other_name_of_loopback() -> Option<String> {
    let hosts = std::fs::read_to_string("/etc/hosts").unwrap_or_default();
    let names = hosts
        .lines()
        .filter_map(|line| line.strip_prefix("127.0.0.1"))
        .flat_map(str::split_whitespace);
    let plain = |name: &&str| {
        *name != "localhost" && name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-')
    };
    names
        .filter(|name| !name.starts_with('-') && !name.ends_with('-'))
        .find(plain)
        .map(str::to_owned)
}

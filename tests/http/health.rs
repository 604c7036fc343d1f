//! Routes that do not use a model: health, metadata, metrics, unknown paths and wrong methods.

use std::io::Read;

use serde_json::json;

use super::{serve, shared, upper};
use crate::harness::until;

#[test]
fn health_routes_report_readiness() {
    let server = shared();
    assert_eq!(server.get("/v2/health/live").ok().json(), json!({ "live": true }));
    assert_eq!(server.get("/v2/health/ready").ok().json(), json!({ "ready": true }));
    assert_eq!(
        server.get("/v2/models/upper/ready").ok().json(),
        json!({ "name": "upper", "ready": true })
    );
    assert_eq!(server.get("/v2/models/broken/ready").status, 503);
    assert!(server.get("/ping").ok().body.is_empty());
}

#[test]
fn metadata_routes_describe_server_and_models() {
    let server = shared();
    let about = server.get("/v2").ok().json();
    assert_eq!(about["name"], "wardian");
    for extension in ["binary_tensor_data", "model_repository", "model_configuration", "parameters"]
    {
        assert!(about["extensions"].as_array().unwrap().contains(&json!(extension)), "{extension}");
    }
    assert_eq!(
        server.get("/v2/models").ok().json(),
        json!({ "models": ["broken", "iris", "scripted", "upper"] })
    );
    let upper = server.get("/v2/models/upper").ok().json();
    assert_eq!(upper["inputs"], json!([{ "name": "text", "datatype": "BYTES", "shape": [-1, 1] }]));
    assert_eq!(server.get("/v2/models/upper/versions/1").ok().json(), upper);
    let config = server.config_of("upper");
    assert_eq!(config["input"][0]["data_type"], "TYPE_STRING");
    assert_eq!(config["wardian"]["limits"]["request_bytes"], 64 << 10);
    assert_eq!(config["wardian"]["isolation"], "request");
}

#[test]
fn metrics_count_requests_and_loads() {
    let server = serve();
    server.infer("upper", &upper(&["a"])).ok();
    let metrics = server.get("/metrics");
    assert!(
        metrics.ok().header("content-type").unwrap().starts_with("application/openmetrics-text")
    );
    let text = metrics.text();
    for line in [
        "wardian_requests_total{tenant=\"default\",model=\"upper\",version=\"1\"} 1",
        "wardian_request_phase_seconds_count{tenant=\"default\",model=\"upper\",version=\"1\",phase=\"compute\"} 1",
        "wardian_load_failures_total{tenant=\"default\"} 1",
    ] {
        assert!(text.contains(line), "no '{line}' in:\n{text}");
    }
}

#[test]
fn entry_routes_answer_get_and_head() {
    let server = serve();
    let about = server.get("/v2").ok().json();
    assert_eq!(server.get("/v2/").ok().json(), about);
    for accept in ["*/*", "application/json", "text/html;q=0"] {
        let answer = server.call("GET", "/").header("accept", accept).send();
        assert_eq!(answer.ok().json(), json!({ "status": "alive" }), "{accept}");
    }
    let page = server.get("/docs");
    assert!(page.ok().header("content-type").unwrap().starts_with("text/html"));
    assert!(page.header("content-security-policy").is_some());
    for path in [
        "/",
        "/v2",
        "/v2/",
        "/v2/health/live",
        "/v2/models/upper",
        "/openapi.json",
        "/docs",
        "/dashboard",
        "/dashboard/style.css",
        "/ping",
    ] {
        let head = server.call("HEAD", path).send_head();
        assert_eq!(
            head,
            (200, server.get(path).ok().header("content-length").unwrap().to_owned()),
            "{path}"
        );
    }

    // A number may get another digit in between.
    for path in ["/metrics", "/v2/dashboard"] {
        until("equal lengths", || {
            let head = server.call("HEAD", path).send_head();
            head == (200, server.get(path).ok().header("content-length").unwrap().to_owned())
        });
    }
}

#[test]
fn metrics_have_a_text_format() {
    let server = shared();
    server.infer("upper", &upper(&["a"])).ok();
    let metrics = |accept: &str| server.call("GET", "/metrics").header("accept", accept).send();
    let text = metrics("text/plain");
    assert_eq!(text.ok().header("content-type"), Some("text/plain; version=0.0.4; charset=utf-8"));
    let text = text.text();
    let about = |line: &str| line.split(' ').nth(2).unwrap().to_owned();
    let helped: Vec<_> =
        text.lines().filter(|line| line.starts_with("# HELP ")).map(about).collect();
    let families: Vec<_> =
        text.lines().filter(|line| line.starts_with("# TYPE ")).map(about).collect();
    assert!(families.len() > 10 && helped == families, "{helped:?} {families:?}");
    assert!(
        families.contains(&"wardian_requests_total".to_owned()) && !text.contains("# EOF"),
        "{text}"
    );
    for accept in [
        "*/*",
        "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
    ] {
        assert!(metrics(accept).ok().text().ends_with("# EOF\n"), "{accept}");
    }
}

#[test]
fn large_responses_are_compressed_on_request() {
    let server = serve();
    for path in ["/metrics", "/openapi.json", "/docs", "/v2/models/upper/config", "/v2/tenants"] {
        let plain = server.get(path);
        if plain.ok().body.len() < 2048 {
            continue;
        }
        assert!(
            plain.header("content-encoding").is_none()
                && plain.header("vary").unwrap().contains("accept"),
            "{path}"
        );
        for coding in ["gzip", "deflate"] {
            let packed = server.call("GET", path).header("accept-encoding", coding).send();
            assert_eq!(packed.ok().header("content-encoding"), Some(coding), "{path}");
            assert!(packed.body.len() < plain.body.len(), "{path}");
            let unpacked = unpack(coding, &packed.body);
            // The metrics change between the two requests.
            assert!(unpacked == plain.body || path == "/metrics", "{path}");
            assert!(unpacked.starts_with(&plain.body[..100]), "{path}");
        }
    }
}

fn unpack(coding: &str, body: &[u8]) -> Vec<u8> {
    let mut whole = Vec::new();
    let read = match coding {
        "gzip" => flate2::read::GzDecoder::new(body).read_to_end(&mut whole),
        _ => flate2::read::ZlibDecoder::new(body).read_to_end(&mut whole),
    };
    read.unwrap();
    whole
}

#[test]
fn every_response_has_timing_and_id() {
    let server = shared();
    for path in ["/v2", "/v2/models/upper", "/v2/models/nobody", "/nowhere", "/metrics"] {
        let response = server.get(path);
        assert!(response.header("server-timing").unwrap().starts_with("total;dur="), "{path}");
        let ids = [&response, &server.get(path)]
            .map(|response| response.header("x-request-id").unwrap().to_owned());
        assert_ne!(ids[0], ids[1], "{path}");
    }
    let named = server.call("GET", "/v2").header("X-Request-Id", "mine-7").send();
    assert_eq!(named.header("x-request-id"), Some("mine-7"));
}

#[test]
fn unknown_paths_and_methods_are_explained() {
    let server = shared();
    for path in ["/v2/model", "/v2//", "/v2/models/upper/", "/v2/models/up%ffper", "/v3"] {
        server.get(path).refused(404, "not_found");
    }
    for (method, path, allow) in [
        ("GET", "/v2/models/upper/infer", "POST"),
        ("POST", "/v2/models/upper", "GET,HEAD"),
        ("DELETE", "/v2/repository/index", "POST"),
    ] {
        let response = server.call(method, path).send();
        assert_eq!(response.refused(405, "method_not_allowed").header("allow"), Some(allow));
        let sentence = format!("this path takes {}, not {method}", allow.replace(',', " or "));
        assert_eq!(response.json()["error"], sentence);
    }
    for (method, path, answers) in [
        ("POST", "/predictions/upper", "POST /v2/models/upper/predict"),
        ("POST", "/v1/models/upper/predict", "POST /v2/models/upper/infer"),
        ("POST", "/v1/responses", "POST /v2/models/{model}/generate"),
        ("GET", "/healthz", "GET /v2/health/ready"),
        ("GET", "/elsewhere", "GET /docs"),
    ] {
        let response = server.call(method, path).send();
        let text = response.refused(404, "not_found").json()["error"].as_str().unwrap().to_owned();
        assert!(text.contains(answers), "{path}: {text}");
    }
}

//! Refused inference requests: each has its status, its code and a helpful text.

use std::io::Write;

use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{shared, upper};
use crate::harness::Response;

#[track_caller]
fn says(response: &Response, words: &str) {
    let text = response.json()["error"].as_str().unwrap().to_owned();
    assert!(text.contains(words), "'{words}' is not in '{text}'");
}

#[test]
fn invalid_json_is_explained() {
    let server = shared();
    let iris = |data: &str| {
        format!(
            r#"{{"inputs":[{{"name":"measurements","datatype":"FP64","shape":[1,4],"data":{data}}}]}}"#
        )
    };
    let bomb = "[".repeat(100_000);
    for (body, words) in [
        ("{".to_owned(), "at byte"),
        ("".to_owned(), "at byte 0"),
        (r#"{"inputs":[]} x"#.to_owned(), "after the end"),
        (r#"{"inputs":[],"inputs":[]}"#.to_owned(), "given twice"),
        (r#"{"inputs":[],"output":[]}"#.to_owned(), "unknown key 'output'"),
        (iris("[1,2,3,NaN]"), "NaN"),
        (iris("[1,2,3,-Infinity]"), "Infinity"),
        (iris("[1,2,3,1e999]"), "measurements"),
        (iris("[1,2,3]"), "3 elements"),
        (iris("[1,2,3,4,5]"), "more elements"),
        (iris("[[1,2],[3,4]]"), "dimension"),
        (iris(r#"[1,2,3,"4"]"#), "number"),
        (iris(&bomb), "measurements"),
        (format!(r#"{{"inputs":[],"parameters":{{"a":{bomb}}}}}"#), "at byte"),
    ] {
        let response = server.call("POST", "/v2/models/iris/infer").body(body.clone()).send();
        says(response.refused(400, "invalid_input"), words);
    }
    // A number that the datatype cannot hold.
    let digits =
        json!({ "inputs": [{ "name": "x", "datatype": "UINT8", "shape": [1], "data": [256] }] });
    says(server.infer("scripted", &digits).refused(400, "invalid_input"), "256");
}

#[test]
fn tensors_must_match_the_metadata() {
    let server = shared();
    let tensor = |name: &str, datatype: &str, shape: Value, data: Value| json!({ "inputs": [{ "name": name, "datatype": datatype, "shape": shape, "data": data }] });
    for (body, words) in [
        (json!({ "inputs": [] }), "'measurements' is missing"),
        (tensor("petals", "FP64", json!([1]), json!([1])), "unknown input 'petals'"),
        (tensor("measurements", "FP32", json!([1, 4]), json!([1, 2, 3, 4])), "expected FP64"),
        (tensor("measurements", "FP64", json!([1, 3]), json!([1, 2, 3])), "shape"),
        (tensor("measurements", "FP64", json!([-1, 4]), json!([])), "dimension"),
        (
            tensor("measurements", "FP64", json!([4294967296u64, 4294967296u64]), json!([])),
            "too large",
        ),
        (tensor("measurements", "REAL", json!([1, 4]), json!([])), "no datatype 'REAL'"),
    ] {
        says(server.infer("iris", &body).refused(400, "invalid_input"), words);
    }
    let mut body = upper(&["a"]);
    body["outputs"] = json!([{ "name": "lower" }]);
    says(server.infer("upper", &body).refused(400, "invalid_input"), "no output 'lower'");
}

#[test]
fn large_bodies_are_refused() {
    let server = shared();
    let large = upper(&[&"x".repeat(70_000)]);
    says(server.infer("upper", &large).refused(413, "request_too_large"), "65536");
    let mut bomb = GzEncoder::new(Vec::new(), Compression::best());
    bomb.write_all(&vec![b' '; 10 << 20]).unwrap();
    let call = server.call("POST", "/v2/models/upper/infer").header("Content-Encoding", "gzip");
    call.body(bomb.finish().unwrap()).send().refused(413, "request_too_large");
    server
        .call("POST", "/v2/repository/index")
        .body(" ".repeat(1 << 20))
        .send()
        .refused(413, "request_too_large");
}

#[test]
fn unknown_and_failed_models_are_explained() {
    let server = shared();
    let body = upper(&["a"]);
    says(server.infer("nobody", &body).refused(404, "model_not_found"), "model 'nobody'");
    for version in ["9", "0", "one", "-1"] {
        let path = format!("/v2/models/upper/versions/{version}/infer");
        server.post(&path, &body).refused(404, "model_not_found");
    }
    let broken = server.infer("broken", &body);
    says(broken.refused(503, "model_not_ready"), "failed to load");
    assert!(broken.header("retry-after").is_some());
}

#[test]
fn misspelt_names_are_corrected() {
    let server = shared();
    let body = upper(&["a"]);
    let unknown = |path: &str, words: &str| {
        says(server.post(path, &body).refused(404, "model_not_found"), words);
    };
    for verb in ["infer", "generate", "generate_stream"] {
        unknown(
            &format!("/v2/models/uper/{verb}"),
            "there is no such model; did you mean 'upper'?",
        );
        unknown(
            &format!("/v2/models/upper/versions/9/{verb}"),
            "no such version serves; version 1 does",
        );
    }
    unknown(
        "/v2/models/penguins/infer",
        "there are the models 'broken', 'iris', 'scripted', 'upper'",
    );
    says(server.load("irsi").refused(404, "model_not_found"), "did you mean 'iris'?");
    says(
        server.get("/v2/models/scripteds").refused(404, "model_not_found"),
        "did you mean 'scripted'?",
    );

    let wrong = |model: &str, body: Value, words: &str| {
        says(server.infer(model, &body).refused(400, "invalid_input"), words);
    };
    let mut renamed = body.clone();
    renamed["inputs"][0]["name"] = "texts".into();
    wrong("upper", renamed, "unknown input 'texts'; did you mean 'text'?");
    wrong(
        "upper",
        json!({ "inputs": [], "output": [] }),
        "unknown key 'output'; did you mean 'outputs'?",
    );
    let page = server.get("/v2/tasks?limit=many");
    says(
        page.refused(400, "invalid_input"),
        "the query parameter 'limit' must be a whole number that fits, not 'many'",
    );
}

#[test]
fn the_shorter_deadline_applies() {
    let server = shared();
    let slow = |header: &str, timeout: u64| {
        let body =
            json!({ "inputs": [], "parameters": { "behave": "sleep:60000", "timeout": timeout } });
        server
            .call("POST", "/v2/models/scripted/infer")
            .header("Wardian-Deadline-Ms", header)
            .json(&body)
            .send()
    };
    says(slow("50", 900_000_000).refused(504, "deadline_exceeded"), "50 ms");
    says(slow("900000", 60_000).refused(504, "deadline_exceeded"), "60 ms");
    slow("soon", 1000).refused(400, "invalid_input");
}

#[test]
fn other_content_types_are_refused() {
    let server = shared();
    const ROUTES: [&str; 8] = [
        "/v2/models/upper/infer",
        "/v2/models/upper/versions/1/infer",
        "/v2/models/upper/generate",
        "/v2/models/upper/generate_stream",
        "/v2/repository/index",
        "/v2/repository/refresh",
        "/v2/repository/models/upper/load",
        "/v2/repository/models/nobody/unload",
    ];
    for path in ROUTES {
        let send =
            |media: &str| server.call("POST", path).header("content-type", media).body("x").send();
        for media in [
            "text/csv",
            "text/plain;charset=UTF-8",
            "application/xml",
            "multipart/form-data; boundary=x",
            "nonsense",
        ] {
            says(send(media).refused(415, "unsupported_media_type"), "send application/json");
        }
        for media in [
            "application/json",
            "Application/JSON ; Charset=\"UTF-8\"",
            "application/x-www-form-urlencoded",
        ] {
            // The content type is accepted, and the body is not JSON.
            send(media).refused(400, "invalid_input");
        }
        server.call("POST", path).body("x").send().refused(400, "invalid_input");
    }
}

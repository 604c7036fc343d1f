//! Successful inference: JSON, binary tensors, raw bodies, compression, and SageMaker's route.

use std::io::{Read, Write};

use flate2::Compression;
use flate2::read::ZlibDecoder;
use flate2::write::GzEncoder;
use serde_json::{Value, json};

use super::{shared, upper};

#[test]
fn json_inference_succeeds() {
    let server = shared();
    let mut body = upper(&["ab", "ß"]);
    body["id"] = json!("7");
    body["outputs"] = json!([{ "name": "text" }]);
    let output = json!({ "name": "text", "datatype": "BYTES", "shape": [2], "data": ["AB", "SS"] });
    let expected =
        json!({ "model_name": "upper", "model_version": "1", "id": "7", "outputs": [output] });
    for path in [
        "/v2/models/upper/infer",
        "/v2/models/upper/versions/1/infer",
        "/v2/models/%75pper/infer?x=y",
    ] {
        let response = server.post(path, &body);
        assert_eq!(response.ok().json(), expected, "{path}");
        let timing = response.header("server-timing").unwrap();
        for phase in ["queue;dur=", "instance;dur=", "compute;dur="] {
            assert!(timing.contains(phase), "{timing}");
        }
    }
    let nested = json!({ "inputs": [{ "name": "measurements", "datatype": "FP64", "shape": [2, 4],
        "data": [[5.1, 3.5, 1.4, 0.2], [6.7, 3.0, 5.2, 2.3]] }] });
    assert_eq!(server.infer("iris", &nested).output("label"), ["setosa", "virginica"]);
}

#[test]
fn binary_tensors_are_read_and_written() {
    let server = shared();
    let head = json!({
        "inputs": [{ "name": "measurements", "datatype": "FP64", "shape": [1, 4],
            "parameters": { "binary_data_size": 32 } }],
        "parameters": { "binary_data_output": true },
        "outputs": [{ "name": "probabilities" }, { "name": "label", "parameters": { "binary_data": false } }],
    })
    .to_string();
    let mut body = head.clone().into_bytes();
    body.extend([5.1f64, 3.5, 1.4, 0.2].iter().flat_map(|number| number.to_le_bytes()));
    let call = server.call("POST", "/v2/models/iris/infer");
    let response =
        call.header("Inference-Header-Content-Length", &head.len().to_string()).body(body).send();
    let length = response.ok().header("inference-header-content-length").unwrap().parse().unwrap();
    let (text, rest) = response.body.split_at(length);
    let outputs = serde_json::from_slice::<Value>(text).unwrap()["outputs"].clone();
    // Outputs are in the model's order, whatever order the request has.
    assert_eq!(outputs[0]["data"], json!(["setosa"]));
    assert_eq!(outputs[1]["parameters"]["binary_data_size"], 24);
    let sum: f64 = rest.as_chunks::<8>().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).sum();
    assert!((sum - 1.0).abs() < 1e-9, "{sum}");
}

#[test]
fn a_raw_body_is_one_input() {
    let server = shared();
    let call = server
        .call("POST", "/v2/models/upper/infer")
        .header("Inference-Header-Content-Length", "0");
    let response = call.body("as it is").send();
    assert!(response.ok().body.ends_with(b"AS IT IS"), "{response}");
}

#[test]
fn compressed_bodies_are_read_and_written() {
    let server = shared();
    let text = "light goes in ".repeat(500);
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(upper(&[&text]).to_string().as_bytes()).unwrap();
    let call = server.call("POST", "/v2/models/upper/infer").header("Content-Encoding", "gzip");
    let response = call.header("Accept-Encoding", "deflate").body(encoder.finish().unwrap()).send();
    assert_eq!(response.ok().header("content-encoding"), Some("deflate"));
    let mut json = String::new();
    ZlibDecoder::new(response.body.as_slice()).read_to_string(&mut json).unwrap();
    assert_eq!(
        serde_json::from_str::<Value>(&json).unwrap()["outputs"][0]["data"],
        json!([text.to_uppercase()])
    );
}

#[test]
fn invocations_use_the_named_model() {
    let server = shared();
    let call = || server.call("POST", "/invocations").json(&upper(&["ab"]));
    call().send().refused(400, "invalid_input");
    let named = call().header("X-Amzn-SageMaker-Target-Model", "upper").send();
    assert_eq!(named.output("text"), ["AB"]);
}

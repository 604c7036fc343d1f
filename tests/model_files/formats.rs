//! One small file of each library.

use std::fs;
use std::path::Path;

use serde_json::json;

use super::{index_line, predict, until_predicts};
use crate::harness::Server;

/// A file from the tests of the runtime `tabular`.
fn saved(name: &str) -> Vec<u8> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../guest-models/runtimes/tabular/src");
    fs::read(Path::new(folder).join(name)).unwrap()
}

#[test]
fn xgboost_files_are_served() {
    let server = Server::with_models(|models| {
        models.put("rent.json", saved("xgboost/tests/data/logistic.json"));
        models.put("bad/1/model.json", "{\"learner\": {\"learner_model_param\": {}}}");
    })
    .start();
    server.until_ready("rent", 1);
    assert_eq!(index_line(&server, "rent")["runtime"]["format"], "xgboost-json");
    let metadata = server.get("/v2/models/rent").ok().json();
    let inputs = metadata["inputs"].as_array().unwrap();
    assert_eq!((&inputs[0]["name"], &inputs[0]["datatype"]), (&json!("features"), &json!("FP32")));
    let columns = inputs[0]["shape"][1].as_u64().unwrap();

    let rows: Vec<f64> = (0..columns).map(|column| column as f64).collect();
    let input =
        json!({"name": "features", "datatype": "FP32", "shape": [1, columns], "data": rows});
    let answer = server.infer("rent", &json!({"inputs": [input]}));
    let prediction = answer.ok().output("prediction")[0].as_f64().unwrap();
    assert!(0.0 < prediction && prediction < 1.0, "{prediction}");
    server.until_refused("bad", 1, "load failed: ");
}

#[test]
fn lightgbm_files_are_served() {
    let model = saved("lightgbm/tests/data/missing_none.txt");
    let server = Server::with_models(|models| models.put("rent/1/model.txt", model)).start();
    until_predicts(&server, "rent", 1.0);
    assert_eq!(predict(&server, "rent", 0.0), Some(0.0));
}

#[test]
fn onnx_files_are_served() {
    let server = Server::with_models(|models| {
        models.put("rent.onnx", onnx("Identity"));
        models.put("bad.onnx", onnx("NoSuchOperator"));
        // The content counts, whatever the name says.
        models.put("named/1/model.json", onnx("Identity"));
    })
    .start();
    server.until_ready("rent", 1);
    server.until_ready("named", 1);
    let runtime = &index_line(&server, "named")["runtime"];
    assert_eq!((&runtime["name"], &runtime["format"]), (&json!("onnx"), &json!("onnx")));

    let x = json!({"name": "x", "datatype": "FP32", "shape": [2, 1], "data": [1.5, -2.0]});
    let answer = server.infer("rent", &json!({"inputs": [x]}));
    assert_eq!(answer.ok().output("y"), [json!(1.5), json!(-2.0)]);
    server.until_refused("bad", 1, "NoSuchOperator");
}

/// A graph of one operator from `x` to `y`, both FP32 [N, 1].
fn onnx(operator: &str) -> Vec<u8> {
    let node = [text(1, "x"), text(2, "y"), text(3, "n"), text(4, operator)].concat();
    let shape = [bytes(1, &text(2, "N")), bytes(1, &number(1, 1))].concat();
    let tensor = bytes(1, &[number(1, 1), bytes(2, &shape)].concat());
    let value = |name: &str| [text(1, name), bytes(2, &tensor)].concat();
    let graph = [bytes(1, &node), text(2, "g"), bytes(11, &value("x")), bytes(12, &value("y"))];
    let opset = [text(1, ""), number(2, 17)].concat();
    [number(1, 8), text(2, "test"), bytes(7, &graph.concat()), bytes(8, &opset)].concat()
}

/// A field of a protocol buffer with a number below 128.
fn number(field: u8, value: u8) -> Vec<u8> {
    vec![field << 3, value]
}

/// A field with fewer than 128 bytes.
fn bytes(field: u8, content: &[u8]) -> Vec<u8> {
    assert!(content.len() < 128, "{} bytes", content.len());
    [&[field << 3 | 2, content.len() as u8], content].concat()
}

fn text(field: u8, content: &str) -> Vec<u8> {
    bytes(field, content.as_bytes())
}

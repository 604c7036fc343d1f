//! Shapes in Triton's model configuration, and shapes that clients derive from it.

use serde_json::{Value, json};

use crate::harness::{Server, guest, scripted};

fn serve() -> Server {
    let server = Server::with_models(|models| {
        models.bare("batcher", guest("batcher"));
        models.bare("scripted", scripted("version=1"));
        models.bare("side-by-side", guest("side-by-side"));
    });
    let server = server.start();
    server.until_tried();
    server
}

fn word(shape: &[u64], data: &[&str]) -> Value {
    json!({ "inputs": [{ "name": "word", "datatype": "BYTES", "shape": shape, "data": data }] })
}

#[test]
fn dimensions_are_never_empty() {
    let server = serve();
    for model in ["batcher", "scripted", "side-by-side"] {
        let config = server.config_of(model);
        let tensors = ["input", "output"].map(|side| config[side].as_array().unwrap().clone());
        for tensor in tensors.iter().flatten() {
            assert!(!tensor["dims"].as_array().unwrap().is_empty(), "{model}: {tensor}");
        }
    }
    let config = server.config_of("batcher");
    let [word, x] = [&config["input"][0], &config["input"][1]];
    assert_eq!((&word["dims"], &word["reshape"]), (&json!([1]), &json!({ "shape": [] })));
    assert_eq!((&x["dims"], x.get("reshape")), (&json!([-1]), None));
    // Triton's clients read the shape of an input from the metadata.
    let metadata = server.get("/v2/models/batcher").ok().json();
    assert_eq!(metadata["inputs"][0]["shape"], json!([-1, 1]));
    assert_eq!(metadata["inputs"][1]["shape"], json!([-1, -1]));
    assert_eq!(metadata["outputs"][0]["shape"], json!([-1]));
    assert_eq!(server.get("/v2/models/side-by-side").ok().json()["inputs"][0]["shape"], json!([1]));
}

#[test]
fn a_column_is_accepted_as_a_list() {
    let server = serve();
    let shapes = |answer: &Value| -> Vec<Value> {
        answer["outputs"].as_array().unwrap().iter().map(|output| output["shape"].clone()).collect()
    };
    let list = server.infer("batcher", &word(&[2], &["a", "b"])).ok().json();
    for shape in [&[2, 1][..], &[2, 1, 1]] {
        let column = server.infer("batcher", &word(shape, &["a", "b"])).ok().json();
        assert_eq!(shapes(&column), shapes(&list), "{shape:?}");
        assert_eq!(column["outputs"][0], list["outputs"][0]);
    }
    server.infer("side-by-side", &word(&[1, 1], &["a"])).ok();
    server.infer("side-by-side", &word(&[], &["a"])).ok();
    let nested = json!({ "inputs": [{ "name": "x", "datatype": "FP64", "shape": [3, 1], "data": [[1], [2], [3]] }] });
    assert_eq!(server.infer("scripted", &nested).output("sum"), [6.0]);
    for wrong in
        [word(&[1, 2], &["a", "b"]), word(&[2, 2], &["a", "b", "c", "d"]), word(&[], &["a"])]
    {
        let refused = server.infer("batcher", &wrong);
        assert!(
            refused.refused(400, "invalid_input").text().contains("expected [-1]"),
            "{refused}"
        );
    }
}

#[test]
fn shapes_are_adapted_behind_interceptors_and_in_binary() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted("version=1"));
        models.bare(
            "interceptors/scripted-interceptor",
            crate::harness::scripted_interceptor("name=scripted-interceptor"),
        );
    });
    let server = server.start();
    server.until_ready("scripted", 1);
    let input = json!({ "name": "x", "datatype": "FP64", "shape": [2, 1], "parameters": { "binary_data_size": 16 } });
    let json = json!({ "inputs": [input] }).to_string();
    let mut body = json.clone().into_bytes();
    body.extend([40.0_f64, 2.0].iter().flat_map(|number| number.to_le_bytes()));
    let call = server.call("POST", "/v2/models/scripted/infer");
    let call = call.header("inference-header-content-length", &json.len().to_string());
    assert_eq!(call.body(body).send().output("sum"), [42.0]);
}

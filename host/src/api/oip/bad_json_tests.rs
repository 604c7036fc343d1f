//! Invalid requests, and error texts that state what to correct.

use super::framing::{self, Framing};
use crate::model::{Datatype, Metadata, TensorSpec};
use crate::tenant::Pacer;

fn refusal(framing: Framing, metadata: &Metadata, body: &[u8]) -> String {
    framing::decode(framing, metadata, body, &Pacer::unmetered())
        .map(|_| ())
        .expect_err(&String::from_utf8_lossy(body))
}

fn json(body: &str) -> String {
    refusal(Framing::Json, &Metadata::default(), body.as_bytes())
}

/// A request with one input `x` that has these additional keys.
fn input(keys: &str) -> String {
    format!(r#"{{"inputs":[{{"name":"x",{keys}}}]}}"#)
}

fn data(datatype: &str, shape: &str, data: &str) -> String {
    input(&format!(r#""datatype":"{datatype}","shape":{shape},"data":{data}"#))
}

const X: &str = r#""inputs":[{"name":"x","datatype":"INT8","shape":[1],"data":[1]}]"#;

#[test]
fn invalid_requests() {
    for (body, says) in [
        ("", "expected an object"),
        ("[]", "expected an object"),
        ("{}", "has no 'inputs'"),
        (r#"{"inputs":{}}"#, "expected an array"),
        (r#"{"inputs":[1]}"#, "input number 1: expected an object"),
        (r#"{"inputs":[],}"#, "expected a string"),
        (r#"{"inputs":[]"#, "expected ',' or '}'"),
        (r#"{"inputs" []}"#, "expected ':'"),
        (r#"{"inputs":[],"inputs":[]}"#, "key 'inputs' is given twice"),
        (r#"{"input":[]}"#, "unknown key 'input'"),
        (r#"{"inputs":[]} x"#, "after the end"),
        (r#"{"inputs":[]}{}"#, "after the end"),
        (r#"{"inputs":[],"id":1}"#, "id: expected a string, found a number"),
        (r#"{"inputs":[],"id":"a"#, "a string does not end"),
        ("{\"inputs\":[],\"id\":\"a\n\"}", "control character"),
        (r#"{"inputs":[],"id":"\q"}"#, "invalid escape"),
        (r#"{"inputs":[],"id":"\ud800"}"#, "invalid escape"),
        (r#"{"inputs":[],"parameters":[]}"#, "parameters: expected an object"),
        (r#"{"inputs":[],"parameters":{"a":1,"a":2}}"#, "parameter 'a' is given twice"),
        (
            r#"{"inputs":[],"parameters":{"a":{}}}"#,
            "'a': expected a text, a number, true or false, found an object",
        ),
        (
            r#"{"inputs":[],"parameters":{"a":9223372036854775808}}"#,
            "'a': the number is out of range",
        ),
        (r#"{"inputs":[],"parameters":{"a":1e999}}"#, "'a': the number is out of range"),
        (r#"{"inputs":[],"parameters":{"a":NaN}}"#, "'a': expected"),
        (r#"{"inputs":[],"parameters":{"timeout":"soon"}}"#, "'timeout' must be a whole number"),
        (r#"{"inputs":[],"parameters":{"timeout":-1}}"#, "'timeout' must be a whole number"),
        (r#"{"inputs":[],"parameters":{"timeout":1.5}}"#, "'timeout' must be a whole number"),
        (
            r#"{"inputs":[],"parameters":{"binary_data_output":1}}"#,
            "'binary_data_output' must be true or false",
        ),
    ] {
        let text = json(body);
        assert!(text.contains(says), "{body}: {text}");
        assert!(text.contains("at byte"), "{text}");
    }

    assert!(
        refusal(Framing::Json, &Metadata::default(), b"{\"id\":\"\xff\"}").contains("not UTF-8")
    );
}

#[test]
fn invalid_outputs() {
    for (outputs, says) in [
        (r#"{}"#, "expected an array"),
        (r#"[{}]"#, "output number 1: it has no 'name'"),
        (r#"["y"]"#, "output number 1: expected an object"),
        (r#"[{"name":"y"},{"name":"y"}]"#, "output 'y' is requested twice"),
        (r#"[{"name":"y","shape":[1]}]"#, "unknown key 'shape'"),
        (
            r#"[{"name":"y","parameters":{"classification":-3}}]"#,
            "'classification' must be a whole",
        ),
        (
            r#"[{"name":"y","parameters":{"classification":2.5}}]"#,
            "'classification' must be a whole",
        ),
        (r#"[{"name":"y","parameters":{"shared_memory_region":"r"}}]"#, "shared memory"),
        (
            r#"[{"name":"y","parameters":{"binary_data":"yes"}}]"#,
            "'binary_data' must be true or false",
        ),
    ] {
        let text = json(&format!(r#"{{{X},"outputs":{outputs}}}"#));
        assert!(text.contains(says), "{outputs}: {text}");
    }
}

#[test]
fn invalid_inputs() {
    for (keys, says) in [
        (r#""shape":[1],"data":[1]"#, "input 'x': it has no 'datatype'"),
        (r#""datatype":"INT8","data":[1]"#, "input 'x': it has no 'shape'"),
        (r#""datatype":"INT8","shape":[1]"#, "input 'x': it has no 'data'"),
        (
            r#""datatype":"int8","shape":[1],"data":[1]"#,
            "input 'x': datatype: there is no datatype 'int8'",
        ),
        (r#""datatype":1"#, "datatype: expected a string, found a number"),
        (r#""name":"y""#, "key 'name' is given twice"),
        (r#""shape":[1],"shape":[1]"#, "key 'shape' is given twice"),
        (r#""dtype":"INT8""#, "input 'x': unknown key 'dtype'"),
        (r#""shape":1"#, "shape: expected an array"),
        (r#""shape":[-1]"#, "a dimension is a whole number of 0 or above, not -1"),
        (r#""shape":[1.0]"#, "not 1.0"),
        (r#""shape":[18446744073709551616]"#, "not 18446744073709551616"),
        (r#""shape":["1"]"#, "shape: expected a number, found a string"),
        (r#""parameters":{"binary_data_size":-1}"#, "'binary_data_size' must be a whole number"),
        (r#""parameters":{"shared_memory_region":"r"}"#, "shared memory"),
        (r#""datatype":"INT8","shape":[1],"data":[1],"parameters":{"binary_data_size":1}"#, "both"),
        (
            r#""datatype":"INT8","shape":[1],"parameters":{"binary_data_size":1}"#,
            "only 0 bytes of binary data are left",
        ),
        (r#""data":[1,],"shape":[1],"datatype":"INT8""#, "data: "),
        (
            r#""data":[300],"shape":[1],"datatype":"INT8""#,
            "input 'x': data: 300 is out of the datatype's range",
        ),
    ] {
        let text = json(&input(keys));
        assert!(text.contains(says), "{keys}: {text}");
        assert!(text.contains("input 'x'"), "{text}");
    }

    let unnamed = r#"{"inputs":[{"datatype":"INT8","shape":[1],"data":[1]}]}"#;
    assert!(json(unnamed).contains("input number 1: it has no 'name'"));
}

#[test]
fn invalid_data() {
    for (datatype, shape, elements, says) in [
        ("FP32", "[1]", "[NaN]", "JSON has no NaN or Infinity"),
        ("FP64", "[1]", "[-Infinity]", "JSON has no NaN or Infinity"),
        ("FP64", "[1]", "[1e400]", "1e400 is out of the datatype's range"),
        ("FP32", "[1]", "[1e39]", "out of the datatype's range"),
        ("FP16", "[1]", "[70000]", "out of the datatype's range"),
        ("BF16", "[1]", "[1e39]", "out of the datatype's range"),
        ("FP32", "[1]", "[\"1\"]", "expected a number, found a string"),
        ("FP32", "[1]", "[null]", "expected a number, found null"),
        ("FP32", "[1]", "[true]", "expected a number, found true or false"),
        ("FP32", "[1]", "[.5]", "expected a number"),
        ("FP32", "[1]", "[01]", "not a valid JSON number"),
        ("FP32", "[1]", "[+1]", "expected a number"),
        ("FP32", "[1]", "[0x10]", "expected ',' or ']'"),
        ("UINT8", "[1]", "[256]", "256 is out of the datatype's range"),
        ("UINT8", "[1]", "[-1]", "-1 is out of the datatype's range"),
        ("INT8", "[1]", "[-129]", "out of the datatype's range"),
        ("UINT16", "[1]", "[65536]", "out of the datatype's range"),
        ("INT32", "[1]", "[2147483648]", "out of the datatype's range"),
        ("UINT64", "[1]", "[18446744073709551616]", "out of the datatype's range"),
        ("INT64", "[1]", "[9223372036854775808]", "out of the datatype's range"),
        (
            "INT64",
            "[1]",
            "[99999999999999999999999999999999999999999999]",
            "out of the datatype's range",
        ),
        ("INT32", "[1]", "[1.5]", "1.5 is written as a fraction"),
        ("INT32", "[1]", "[1e2]", "1e2 is written as a fraction"),
        ("BOOL", "[1]", "[1]", "expected true or false, found a number"),
        ("BOOL", "[1]", "[True]", "expected true or false"),
        ("BYTES", "[1]", "[1]", "expected a string, found a number"),
        ("BYTES", "[1]", "\"a\"", "expected an array"),
        ("INT8", "[2]", "[1]", "it has 1 elements, but shape [2] takes 2"),
        ("INT8", "[2]", "[1,2,3]", "it has more elements, but shape [2] takes 2"),
        ("INT8", "[0]", "[1]", "it has more elements, but shape [0] takes 0"),
        ("INT8", "[]", "[1,2]", "it has more elements"),
        ("INT8", "[]", "[]", "it has 0 elements"),
        ("INT8", "[2,2]", "[[1,2],[3]]", "fewer than the 2 entries of dimension 1"),
        ("INT8", "[2,2]", "[[1,2]]", "fewer than the 2 entries of dimension 0"),
        ("INT8", "[2,2]", "[[1,2],[3,4],[5,6]]", "more than the 2 entries of dimension 0"),
        ("INT8", "[2,2]", "[[1,2],3,4]", "expected an array"),
        ("INT8", "[2,2]", "[1,2,[3,4]]", "expected a number, found an array"),
        ("INT8", "[1,1]", "[[[1]]]", "expected a number, found an array"),
        ("INT8", "[1]", "{}", "expected an array"),
        ("INT8", "[4294967296,4294967296]", "[1]", "is too large"),
        ("INT8", "[1000000]", "[1]", "it has 1 elements"),
    ] {
        let text = json(&data(datatype, shape, elements));
        assert!(text.contains(says), "{datatype} {shape} {elements}: {text}");
        assert!(text.contains("input 'x': data"), "{text}");
    }
}

#[test]
fn size_and_nesting_bombs() {
    let deep = "[".repeat(1_000_000);
    assert!(json(&data("INT8", "[1,1]", &deep)).contains("expected a number, found an array"));
    assert!(json(&input(&format!("\"data\":{deep}"))).contains("nested more than"));
    assert!(json(&format!("{{\"model_name\":{deep}")).contains("nested more than"));

    let many = |one: &str, count| vec![one; count].join(",");
    assert!(
        json(&input(&format!("\"shape\":[{}]", many("1", 33)))).contains("more than 32 dimensions")
    );

    let one = r#"{"name":"x","datatype":"INT8","shape":[1],"data":[1]}"#;
    assert!(json(&format!("{{\"inputs\":[{}]}}", many(one, 257))).contains("more than 256 inputs"));

    let names: Vec<_> = (0..257).map(|index| format!("{{\"name\":\"{index}\"}}")).collect();
    assert!(
        json(&format!("{{{X},\"outputs\":[{}]}}", names.join(",")))
            .contains("more than 256 outputs")
    );

    let parameters: Vec<_> = (0..129).map(|index| format!("\"{index}\":1")).collect();
    let parameters = format!("{{{X},\"parameters\":{{{}}}}}", parameters.join(","));
    assert!(json(&parameters).contains("more than 128 parameters"));
}

#[test]
fn error_texts_are_short() {
    let text = json(&format!("{{\"{}\":1}}", "k".repeat(100_000)));
    assert!(text.len() < 200, "{text}");

    let text = json(&data("INT8", "[1]", &format!("[{}]", "9".repeat(100_000))));
    assert!(text.len() < 300, "{text}");
}

#[test]
fn invalid_binary_parts() {
    let request = |datatype: &str, shape: &str, size: u64| {
        input(&format!(
            r#""datatype":"{datatype}","shape":{shape},"parameters":{{"binary_data_size":{size}}}"#
        ))
    };

    for (json, rest, says) in [
        (request("FP32", "[2]", 8), 7, "only 7 bytes of binary data are left"),
        (request("FP32", "[2]", 8), 9, "1 bytes follow the JSON"),
        (request("FP32", "[2]", 4), 4, "takes 2 elements of 4 bytes, but its data has 4 bytes"),
        (request("BYTES", "[1]", 3), 3, "past the end"),
        (request("FP64", "[2305843009213693952,8]", 0), 0, "too large"),
        (request("FP64", "[2305843009213693952]", 0), 0, "its data has 0 bytes"),
        (request("FP32", "[1]", u64::MAX >> 1), 4, "only 4 bytes"),
    ] {
        let body = [json.as_bytes(), &vec![1; rest]].concat();
        let text = refusal(Framing::Mixed(json.len()), &Metadata::default(), &body);
        assert!(text.contains(says), "{text}");
    }

    let text = refusal(Framing::Mixed(9), &Metadata::default(), b"{}");
    assert!(text.contains("should have 9 bytes, but the body has 2"), "{text}");

    let boolean = request("BOOL", "[1]", 1);

    let text = refusal(
        Framing::Mixed(boolean.len()),
        &Metadata::default(),
        &[boolean.as_bytes(), &[2]].concat(),
    );

    assert!(text.contains("BOOL is one byte"), "{text}");
}

fn raw_model(datatype: Datatype, shapes: &[&[i64]], max_batch_size: u32) -> Metadata {
    let spec = |(index, shape): (usize, &&[i64])| TensorSpec {
        name: format!("x{index}"),
        datatype,
        shape: shape.to_vec(),
        optional: false,
    };

    Metadata {
        inputs: shapes.iter().enumerate().map(spec).collect(),
        max_batch_size,
        ..Metadata::default()
    }
}

#[test]
fn raw_bodies() {
    for (model, body, says) in [
        (raw_model(Datatype::Fp32, &[], 0), 4, "it has 0"),
        (raw_model(Datatype::Fp32, &[&[1], &[1]], 0), 4, "it has 2"),
        (raw_model(Datatype::Fp32, &[&[-1, -1]], 0), 4, "at most one variable dimension"),
        (raw_model(Datatype::Fp32, &[&[2]], 0), 4, "takes 2 elements"),
        (raw_model(Datatype::Fp32, &[&[-1, 3]], 0), 16, "its data has 16 bytes"),
        (raw_model(Datatype::Fp32, &[&[-1, 0]], 0), 16, "its data has 16 bytes"),
        (raw_model(Datatype::Fp32, &[&[-1]], 0), 5, "its data has 5 bytes"),
        (raw_model(Datatype::Bytes, &[&[2]], 0), 5, "takes 2 BYTES elements"),
    ] {
        let text = refusal(Framing::Raw, &model, &vec![0; body]);
        assert!(text.contains(says), "{text}");
    }

    for (model, body, shape) in [
        (raw_model(Datatype::Fp32, &[&[-1, 3]], 0), 24, vec![2, 3]),
        (raw_model(Datatype::Fp32, &[&[-1, -1]], 8), 24, vec![1, 6]),
        (raw_model(Datatype::Bytes, &[&[1]], 0), 5, vec![1]),
        (raw_model(Datatype::Bytes, &[&[-1]], 0), 0, vec![1]),
        (raw_model(Datatype::Fp32, &[&[-1]], 0), 0, vec![0]),
    ] {
        let read =
            framing::decode(Framing::Raw, &model, &vec![0; body], &Pacer::unmetered()).unwrap();
        assert_eq!(read.request.inputs[0].shape, shape);
        assert!(read.outputs.is_binary("anything"));
    }
}

#[test]
fn requests_of_known_clients_are_accepted() {
    for body in [
        // KServe's client.
        format!(r#"{{"id":"1","model_name":"m",{X},"parameters":null}}"#),
        // MLServer's client.
        format!(r#"{{"id":null,"parameters":{{"content_type":"np","headers":null}},{X},"outputs":null}}"#),
        r#"{"inputs":[{"name":"x","shape":[1],"datatype":"BYTES","parameters":{"content_type":"str"},"data":["a"]}]}"#
            .into(),
        // Triton's client.
        format!(r#"{{{X},"parameters":{{"sequence_id":7,"sequence_start":true,"priority":1,"timeout":10}}}}"#),
        format!(r#"{{{X},"outputs":[{{"name":"y","parameters":{{"binary_data":true}}}}]}}"#),
    ] {
        let read = framing::decode(Framing::Json, &Metadata::default(), body.as_bytes(), &Pacer::unmetered());
        assert!(read.is_ok(), "{body}: {read:?}");
    }
}

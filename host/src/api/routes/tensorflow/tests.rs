//! The bodies of the verbs, with TensorFlow Serving's own examples.

use super::codec::{Form, decode_examples, decode_predict, write};
use crate::api::table::Layout;
use crate::model::{
    Datatype, InferResponse, Metadata, Parameter, ParameterValue, Tensor, TensorSpec,
    push_bytes_element,
};
use crate::tenant::Pacer;

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.into(), optional: false }
}

fn model(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>) -> Metadata {
    Metadata { inputs, outputs, max_batch_size: 16, ..Metadata::default() }
}

/// The inputs of the page on the REST API.
fn three() -> Metadata {
    let inputs = vec![
        spec("tag", Datatype::Bytes, &[-1]),
        spec("signal", Datatype::Int32, &[-1, 5]),
        spec("sensor", Datatype::Fp32, &[-1, 2, 2]),
    ];
    model(inputs, vec![spec("y", Datatype::Fp32, &[-1])])
}

fn half_plus_three() -> Metadata {
    model(vec![spec("x", Datatype::Fp32, &[-1])], vec![spec("y", Datatype::Fp32, &[-1])])
}

fn classifier() -> Metadata {
    let property =
        Parameter { name: "classes".into(), value: ParameterValue::Text(r#"["a", 7]"#.into()) };
    let outputs =
        vec![spec("label", Datatype::Bytes, &[-1]), spec("scores", Datatype::Fp32, &[-1, 2])];
    let metadata = model(vec![spec("x", Datatype::Fp32, &[-1])], outputs);
    Metadata { properties: vec![property].into(), ..metadata }
}

fn predict(metadata: &Metadata, text: &str) -> Result<(Vec<Tensor>, Form), String> {
    let decoded = decode_predict(metadata, text.as_bytes(), &Pacer::unmetered());
    decoded.map(|(decoded, form)| {
        assert_eq!(metadata.check_request(&decoded.request), Ok(()), "{text}");
        (decoded.request.inputs, form)
    })
}

fn floats(name: &str, shape: &[u64], values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: name.into(), datatype: Datatype::Fp32, shape: shape.into(), data }
}

fn texts(name: &str, texts: &[&str]) -> Tensor {
    let mut data = Vec::new();
    texts.iter().for_each(|text| push_bytes_element(&mut data, text.as_bytes()).unwrap());
    Tensor { name: name.into(), datatype: Datatype::Bytes, shape: vec![texts.len() as u64], data }
}

fn written(metadata: &Metadata, outputs: Vec<Tensor>, form: Form) -> Result<String, String> {
    let response = InferResponse { outputs, ..InferResponse::default() };
    let body = write(metadata, &response, form, 1 << 16, &Pacer::unmetered());
    body.map(|body| String::from_utf8(body).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn rows_and_columns_give_the_same_tensors() {
    let rows = r#"{"instances": [
        {"tag": "foo", "signal": [1, 2, 3, 4, 5], "sensor": [[1, 2], [3, 4]]},
        {"tag": "bar", "signal": [3, 4, 1, 2, 5], "sensor": [[4, 5], [6, 8]]}]}"#;
    let columns = r#"{"inputs": {
        "tag": ["foo", "bar"],
        "signal": [[1, 2, 3, 4, 5], [3, 4, 1, 2, 5]],
        "sensor": [[[1, 2], [3, 4]], [[4, 5], [6, 8]]]}, "signature_name": "serving_default"}"#;

    let (by_rows, row_form) = predict(&three(), rows).unwrap();
    let (by_columns, column_form) = predict(&three(), columns).unwrap();

    assert_eq!(by_rows, by_columns);
    assert_eq!(by_rows[0], texts("tag", &["foo", "bar"]));
    assert_eq!((row_form, column_form), (Form::Rows(Layout::Rows(2)), Form::Columns));
}

#[test]
fn numbers_that_are_not_finite_are_bare_words() {
    let (inputs, _) =
        predict(&half_plus_three(), r#"{"instances": [1.0, NaN, Infinity, -Infinity]}"#).unwrap();
    let values: Vec<f32> =
        inputs[0].data.as_chunks().0.iter().map(|bytes| f32::from_le_bytes(*bytes)).collect();

    assert!(values[1].is_nan());
    assert_eq!((values[2], values[3]), (f32::INFINITY, f32::NEG_INFINITY));
    assert_eq!(
        written(&half_plus_three(), vec![floats("y", &[4], &values)], Form::Rows(Layout::Rows(4)))
            .unwrap(),
        r#"{"predictions":[1.0,NaN,Infinity,-Infinity]}"#
    );

    for text in
        [r#"{"instances": ["NaN"]}"#, r#"{"instances": [nan]}"#, r#"{"instances": [+Infinity]}"#]
    {
        assert!(predict(&half_plus_three(), text).is_err(), "{text}");
    }
}

#[test]
fn wrong_bodies_are_explained() {
    for (text, says) in [
        ("[1.0]", "expected an object"),
        ("{}", "expected 'instances' or 'inputs'"),
        (r#"{"x": 1.0}"#, "expected 'instances' or 'inputs'"),
        (r#"{"dataframe_records": []}"#, "expected 'instances' or 'inputs'"),
        (r#"{"instances": [1], "inputs": [1]}"#, "are given"),
        (r#"{"instances": 1}"#, "expected an array"),
        (r#"{"instances": [{"y": 1}]}"#, "row 1: unknown field 'y'"),
        (r#"{"inputs": {"y": [1]}}"#, "unknown field 'y'"),
        (r#"{"instances": [1], "signature": "a"}"#, "did you mean 'signature_name'?"),
        (r#"{"instances": [1]} {}"#, "something after the end"),
    ] {
        let error = predict(&half_plus_three(), text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn values_keep_the_nesting_of_their_tensors() {
    let single = model(vec![], vec![spec("y", Datatype::Fp32, &[-1, 1])]);
    let output = || vec![floats("y", &[2, 1], &[1.0, 2.0])];
    let rows = written(&single, output(), Form::Rows(Layout::Rows(2)));
    assert_eq!(rows.unwrap(), r#"{"predictions":[[1.0],[2.0]]}"#);
    assert_eq!(written(&single, output(), Form::Columns).unwrap(), r#"{"outputs":[[1.0],[2.0]]}"#);

    let outputs = vec![texts("label", &["a"]), floats("scores", &[1, 2], &[0.5, 0.5])];
    assert_eq!(
        written(&classifier(), outputs, Form::Columns).unwrap(),
        r#"{"outputs":{"label":["a"],"scores":[[0.5,0.5]]}}"#
    );
}

#[test]
fn examples_share_their_context() {
    let metadata = three();
    let text = r#"{"signature_name": "tensorflow/serving/classify",
        "context": {"signal": [1, 2, 3, 4, 5]},
        "examples": [
            {"tag": {"b64": "Zm9v"}, "sensor": [[1, 2], [3, 4]]},
            {"sensor": [[4, 5], [6, 8]], "tag": "bar"}]}"#;
    let (decoded, layout) =
        decode_examples(&metadata, text.as_bytes(), &Pacer::unmetered()).unwrap();

    assert_eq!(layout, Layout::Rows(2));
    assert_eq!(decoded.request.inputs[0], texts("tag", &["foo", "bar"]));
    assert_eq!(decoded.request.inputs[1].shape, [2, 5]);

    for (text, says) in [
        (
            r#"{"context": {"tag": "a"}, "examples": [{"tag": "b"}]}"#,
            "row 1: field 'tag': it is given twice",
        ),
        (r#"{"examples": [{"tag": "b"}]}"#, "row 1: field 'signal' is missing"),
        (r#"{"instances": []}"#, "unknown key 'instances'"),
        (r#"{"context": {}}"#, "expected 'examples'"),
    ] {
        let error = decode_examples(&metadata, text.as_bytes(), &Pacer::unmetered()).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
}

#[test]
fn classes_are_pairs_of_label_and_score() {
    let outputs =
        vec![texts("label", &["a", "7"]), floats("scores", &[2, 2], &[0.75, 0.25, 0.5, 0.5])];
    assert_eq!(
        written(&classifier(), outputs, Form::Classes(Layout::Rows(2))).unwrap(),
        r#"{"results":[[["a",0.75],["7",0.25]],[["a",0.5],["7",0.5]]]}"#
    );

    // A label of its own for each score.
    let outputs = vec![spec("language", Datatype::Bytes, &[-1]), spec("p", Datatype::Fp32, &[-1])];
    let own = model(vec![], outputs);
    let outputs = vec![texts("language", &["en", "de"]), floats("p", &[2], &[0.75, 0.5])];
    assert_eq!(
        written(&own, outputs, Form::Classes(Layout::Rows(2))).unwrap(),
        r#"{"results":[[["en",0.75]],[["de",0.5]]]}"#
    );

    let unnamed = half_plus_three();
    let outputs = vec![floats("y", &[1], &[0.5])];
    assert_eq!(
        written(&unnamed, outputs, Form::Classes(Layout::Rows(1))).unwrap(),
        r#"{"results":[[["",0.5]]]}"#
    );
}

#[test]
fn regressions_are_numbers() {
    let outputs = |rows: u64| vec![floats("y", &[rows], &vec![3.5; rows as usize])];
    let form = Form::Numbers(Layout::Rows(2));
    assert_eq!(written(&half_plus_three(), outputs(2), form).unwrap(), r#"{"results":[3.5,3.5]}"#);
    assert!(written(&half_plus_three(), outputs(3), form).unwrap_err().contains("output 'y'"));

    let wide = model(vec![], vec![spec("y", Datatype::Fp32, &[-1, 2])]);
    let outputs = vec![floats("y", &[1, 2], &[1.0, 2.0])];
    let error = written(&wide, outputs, Form::Numbers(Layout::Rows(1))).unwrap_err();
    assert!(error.contains("2 numbers a row"), "{error}");
}

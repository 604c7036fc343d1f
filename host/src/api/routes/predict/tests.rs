//! The decoder and the encoder against models that exist and models that are made up.

use proptest::prelude::*;
use serde_json::{Value, json};

use super::PredictRoute;
use super::codec::{PredictForm, decode_csv, decode_json, write};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::table::{Layout, PredictionWriter, Style};
use crate::model::{
    Datatype, InferResponse, Metadata, Parameter, ParameterValue, Tensor, TensorSpec,
    push_bytes_element,
};
use crate::tenant::Pacer;

fn spec(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.into(), optional: false }
}

fn optional(name: &str, datatype: Datatype, shape: &[i64]) -> TensorSpec {
    TensorSpec { optional: true, ..spec(name, datatype, shape) }
}

fn model(inputs: Vec<TensorSpec>, outputs: Vec<TensorSpec>, max_batch_size: u32) -> Metadata {
    Metadata { inputs, outputs, max_batch_size, ..Metadata::default() }
}

/// A matrix with named columns.
fn house() -> Metadata {
    let property = Parameter {
        name: "feature_names".into(),
        value: ParameterValue::Text(r#"["lotsize", "bedrooms", "stories"]"#.into()),
    };
    let inputs = vec![spec("features", Datatype::Fp64, &[-1, 3])];
    let outputs = vec![spec("price", Datatype::Fp64, &[-1, 1])];
    Metadata { properties: vec![property].into(), ..model(inputs, outputs, 1024) }
}

/// An input for each column.
fn flats() -> Metadata {
    let inputs = vec![
        spec("district", Datatype::Bytes, &[-1, 1]),
        spec("rooms", Datatype::Int64, &[-1, 1]),
        optional("size", Datatype::Fp32, &[-1]),
        optional("note", Datatype::Bytes, &[-1]),
    ];
    let outputs = vec![spec("a", Datatype::Bytes, &[-1]), spec("b", Datatype::Fp32, &[-1, 2])];
    model(inputs, outputs, 64)
}

/// Takes one row in each request.
fn notes() -> Metadata {
    let inputs = vec![
        optional("action", Datatype::Bytes, &[1]),
        optional("id", Datatype::Int64, &[1]),
        optional("list", Datatype::Fp32, &[-1, 2]),
    ];
    let outputs = vec![spec("id", Datatype::Int64, &[-1]), spec("text", Datatype::Bytes, &[1])];
    model(inputs, outputs, 0)
}

/// Takes a list of any length, without batches.
fn double() -> Metadata {
    model(vec![spec("x", Datatype::Fp32, &[-1])], vec![spec("y", Datatype::Fp32, &[-1])], 0)
}

fn images() -> Metadata {
    let inputs = vec![spec("image", Datatype::Uint8, &[-1, 2, 2])];
    model(inputs, vec![spec("digit", Datatype::Int64, &[-1])], 8)
}

fn tokens() -> Metadata {
    let inputs = vec![spec("ids", Datatype::Int32, &[-1, -1])];
    model(inputs, vec![spec("vector", Datatype::Fp32, &[-1, 4])], 8)
}

fn read(metadata: &Metadata, text: &str) -> Result<(DecodedRequest, PredictForm), String> {
    let route = PredictRoute::Predict;
    decode_json(metadata, route, text.as_bytes(), &Pacer::unmetered())
}

fn invoke(metadata: &Metadata, text: &str) -> Result<(DecodedRequest, PredictForm), String> {
    let route = PredictRoute::Invocations;
    decode_json(metadata, route, text.as_bytes(), &Pacer::unmetered())
}

fn csv(metadata: &Metadata, text: &str) -> Result<(DecodedRequest, PredictForm), String> {
    decode_csv(metadata, PredictRoute::Predict, text.as_bytes(), &Pacer::unmetered())
}

/// Shows the inputs as `name shape values`, and checks that the model would accept them.
fn inputs(metadata: &Metadata, read: Result<(DecodedRequest, PredictForm), String>) -> Vec<String> {
    let (decoded, _) = read.unwrap();
    let tensors = &decoded.request.inputs;
    tensors.iter().for_each(|tensor| assert_eq!(tensor.check(), Ok(()), "{tensor:?}"));
    assert_eq!(metadata.check_request(&decoded.request), Ok(()));

    let shown = |tensor: &Tensor| {
        let output = spec(&tensor.name, tensor.datatype, &[0]);
        let answer = InferResponse { outputs: vec![tensor.clone()], ..InferResponse::default() };
        let metadata = model(vec![], vec![output], 0);
        let pacer = Pacer::unmetered();
        let writer = PredictionWriter::new(Style::Flat, &answer, 1 << 20, &pacer);
        let values = write(&metadata, &answer, Layout::Whole, writer);
        let values =
            values.map_or_else(|error| error.to_string(), |text| String::from_utf8(text).unwrap());
        format!("{} {:?} {values}", tensor.name, tensor.shape)
            .replace("{\"predictions\":[", "")
            .replace("]}", "")
    };
    tensors.iter().map(shown).collect()
}

#[track_caller]
fn same(metadata: &Metadata, texts: &[&str], expected: &[&str]) {
    for text in texts {
        assert_eq!(inputs(metadata, read(metadata, text)), expected, "{text}");
    }
}

#[test]
fn every_form_of_a_table_gives_the_same_matrix() {
    let house = house();
    let forms = [
        r#"[{"lotsize": 1, "bedrooms": 2, "stories": 3.5}, {"stories": 6, "lotsize": 4, "bedrooms": 5}]"#,
        r#"[[1, 2, 3.5], [4, 5, 6]]"#,
        r#"[{"features": [1, 2, 3.5]}, {"features": [4, 5, 6]}]"#,
        r#"{"instances": [{"lotsize": 1, "bedrooms": 2, "stories": 3.5}, {"bedrooms": 5, "stories": 6, "lotsize": 4}]}"#,
        r#"{"instances": [[1, 2, 3.5], [4, 5, 6]], "signature_name": "serving_default"}"#,
        r#"{"inputs": [[1, 2, 3.5], [4, 5, 6]]}"#,
        r#"{"inputs": {"features": [[1, 2, 3.5], [4, 5, 6]]}}"#,
        r#"{"inputs": {"stories": [3.5, 6], "bedrooms": [2, 5], "lotsize": [1, 4]}}"#,
        r#"{"dataframe_records": [{"lotsize": 1, "bedrooms": 2, "stories": 3.5}, {"stories": 6, "lotsize": 4, "bedrooms": 5.0}]}"#,
        r#"{"dataframe_split": {"columns": ["stories", "bedrooms", "lotsize"], "index": [0, 1], "data": [[3.5, 2, 1], [6, 5, 4]]}}"#,
        r#"{"dataframe_split": {"data": [[3.5, 2, 1], [6, 5, 4]], "columns": ["stories", "bedrooms", "lotsize"]}}"#,
        r#"{"dataframe_split": {"data": [[1, 2, 3.5], [4, 5, 6]]}}"#,
    ];

    same(&house, &forms, &["features [2, 3] [[1.0,2.0,3.5],[4.0,5.0,6.0]]"]);
    let text = "stories,lotsize,bedrooms\n3.5,1,2\r\n6, 4 ,\"5\"\n";
    assert_eq!(
        inputs(&house, csv(&house, text)),
        ["features [2, 3] [[1.0,2.0,3.5],[4.0,5.0,6.0]]"]
    );

    let one = [r#"{"lotsize": 1, "bedrooms": 2, "stories": 3}"#, r#"{"features": [1, 2, 3]}"#];
    same(&house, &one, &["features [1, 3] [[1.0,2.0,3.0]]"]);
}

#[test]
fn each_field_can_be_an_input_of_its_own() {
    let flats = flats();
    let forms = [
        r#"[{"district": "a", "rooms": 1}, {"rooms": 2.0, "district": "b"}]"#,
        r#"[{"district": ["a"], "rooms": [1]}, {"rooms": [2], "district": ["b"]}]"#,
        r#"{"inputs": {"district": ["a", "b"], "rooms": [1, 2]}}"#,
        r#"{"inputs": {"district": [["a"], ["b"]], "rooms": [[1], [2]], "size": [null, null]}}"#,
        r#"{"instances": [{"district": {"b64": "YQ=="}, "rooms": 1}, {"rooms": 2, "district": "b"}]}"#,
        r#"{"dataframe_split": {"columns": ["rooms", "district", "note"], "data": [[1, "a", null], [2, "b", null]]}}"#,
        r#"{"instances": [["a", 1, null, null], ["b", 2, null, null]]}"#,
    ];
    same(&flats, &forms, &[r#"district [2, 1] [["a"],["b"]]"#, "rooms [2, 1] [[1],[2]]"]);

    let text = "\u{feff}rooms,district,size,note\n1,\"a, \"\"b\"\"\nc\",,\n2,,0.5,\n";
    let (decoded, _) = csv(&flats, text).unwrap();
    assert_eq!(decoded.request.inputs.len(), 3, "an optional text that is empty is absent");
    assert_eq!(
        decoded.request.inputs[0].data,
        b"\x0a\0\0\0a, \"b\"\nc\0\0\0\0"[..].replace_length()
    );
    assert!(f32::from_le_bytes(decoded.request.inputs[2].data[..4].try_into().unwrap()).is_nan());
}

trait ReplaceLength {
    /// Sets the length of the first text, which is written with two bytes too many.
    fn replace_length(&self) -> Vec<u8>;
}

impl ReplaceLength for [u8] {
    fn replace_length(&self) -> Vec<u8> {
        let text = b"a, \"b\"\nc";
        let mut data = Vec::new();
        push_bytes_element(&mut data, text).unwrap();
        push_bytes_element(&mut data, b"").unwrap();
        assert!(self.ends_with(&data[4..]));
        data
    }
}

#[test]
fn texts_that_look_like_something_else_stay_texts() {
    let upper = model(
        vec![spec("text", Datatype::Bytes, &[-1])],
        vec![spec("text", Datatype::Bytes, &[-1])],
        8,
    );
    let texts = ["007", "1e3", "2024-01-02", "null", "nan", ""];
    let records: Vec<Value> = texts.iter().map(|text| json!({ "text": text })).collect();
    let expected = [format!("text [6] {}", json!(texts))];
    let csv_text = format!("text,unused\n{}", texts.map(|text| format!("\"{text}\",\n")).concat());
    let csv_text = csv_text.replace(",unused", "").replace("\",\n", "\"\n");

    assert_eq!(inputs(&upper, read(&upper, &json!(records).to_string())), expected);
    assert_eq!(inputs(&upper, read(&upper, &json!({ "instances": texts }).to_string())), expected);
    assert_eq!(inputs(&upper, csv(&upper, &csv_text)), expected);
}

#[test]
fn lists_and_shapes_of_rows_are_kept() {
    let forms = [r#"[{"image": [[1, 2], [3, 4]]}]"#, r#"{"inputs": [[1, 2, 3, 4]]}"#];
    same(&images(), &forms, &["image [1, 2, 2] [[[1,2],[3,4]]]"]);

    let forms =
        [r#"[{"ids": [1, 2]}, {"ids": [3, 4]}]"#, r#"{"inputs": {"ids": [[1, 2], [3, 4]]}}"#];
    same(&tokens(), &forms, &["ids [2, 2] [[1,2],[3,4]]"]);

    for (text, says) in [
        (r#"[{"ids": [1, 2]}, {"ids": [3]}]"#, "row 2: field 'ids': it has shape [1], and [2]"),
        (r#"[{"ids": 1}]"#, "row 1: field 'ids'"),
        (r#"[{"ids": null}]"#, "row 1: field 'ids' has no value"),
    ] {
        let error = read(&tokens(), text).unwrap_err();
        assert!(error.contains(says), "{text}: {error}");
    }
    let text = r#"[{"image": [[1, 2], [3]]}]"#;
    assert!(read(&images(), text).unwrap_err().contains("row 1: field 'image'"));
}

#[test]
fn a_model_without_rows_takes_one() {
    let notes = notes();
    let forms = [
        r#"{"action": "add", "id": 7}"#,
        r#"[{"action": "add", "id": 7.0, "list": null}]"#,
        r#"{"instances": [{"action": ["add"], "id": 7}]}"#,
        r#"{"inputs": {"action": "add", "id": [7]}}"#,
        r#"{"dataframe_split": {"columns": ["id", "action"], "data": [[7, "add"]]}}"#,
    ];
    same(&notes, &forms, &[r#"action [1] ["add"]"#, "id [1] [7]"]);
    same(
        &notes,
        &[r#"{"list": [1, 2, 3, 4]}"#, r#"{"list": [[1, 2], [3, 4]]}"#],
        &["list [2, 2] [[1.0,2.0],[3.0,4.0]]"],
    );
    same(&notes, &["{}"], &[]);
    assert_eq!(
        inputs(&notes, csv(&notes, "action,id\nadd,7\n")),
        [r#"action [1] ["add"]"#, "id [1] [7]"]
    );

    assert!(read(&notes, "[{}, {}]").unwrap_err().contains("one row in each request"));
    assert!(read(&notes, "[]").unwrap_err().contains("no row"));
}

#[test]
fn a_list_is_one_row_of_a_model_that_takes_lists() {
    let double = double();
    let layout = |text| read(&double, text).map(|(_, form)| format!("{form:?}"));

    for text in [r#"{"x": 1}"#, r#"[{"x": 1}]"#, r#"{"inputs": [1]}"#] {
        assert_eq!(layout(text), Ok("Predictions(Rows(1))".into()), "{text}");
    }
    for text in [r#"{"x": [1]}"#, r#"[{"x": [1, 2]}]"#, r#"{"instances": [[1, 2, 3]]}"#] {
        assert_eq!(layout(text), Ok("Predictions(Whole)".into()), "{text}");
    }
    assert_eq!(layout(r#"{"inputs": {"x": [1, 2]}}"#), Ok("Predictions(Rows(2))".into()));
    assert!(layout(r#"[{"x": [1]}, {"x": [2]}]"#).unwrap_err().contains("row 1: field 'x'"));
}

#[test]
fn faults_name_row_and_field() {
    let (house, flats, notes) = (house(), flats(), notes());

    for (metadata, text, says) in [
        (
            &house,
            r#"{"Lotsize": 1, "bedrooms": 2, "stories": 3}"#,
            "row 1: unknown field 'Lotsize'; did you mean 'lotsize'?",
        ),
        (
            &house,
            r#"[{"lotsize": 1, "bedrooms": 2, "stories": 3}, {"lotsize": 1, "stories": 3}]"#,
            "row 2: field 'bedrooms' is missing",
        ),
        (&house, r#"[{"lotsize": 1, "lotsize": 2}]"#, "row 1: field 'lotsize': it is given twice"),
        (&house, r#"[{"features": [1, 2, 3], "lotsize": 2}]"#, "as a list and by its columns"),
        (&house, r#"[{"lotsize": 2, "features": [1, 2, 3]}]"#, "as a list and by its columns"),
        (
            &house,
            r#"[{"lotsize": "1"}]"#,
            "row 1: field 'lotsize': expected a number, found a string",
        ),
        (&house, r#"[{"lotsize": 1e999}]"#, "row 1: field 'lotsize': 1e999 is out of"),
        (&house, r#"[{"lotsize": NaN}]"#, "row 1: field 'lotsize'"),
        (&house, "[[1, 2, 3], [1, 2]]", "row 2: it has 2 of 3 values"),
        (&house, "[[1, 2, 3, 4]]", "row 1: it has more than 3 values"),
        (&house, "[[1, 2, 3], {}]", "row 2: expected a list of 3 values"),
        (&house, "[{\"features\": [1, 2, 3]}, [1, 2, 3]]", "row 2: expected an object"),
        (&house, "[1]", "row 1: expected a list of 3 values"),
        (&house, r#"{"inputs": {"lotsize": [1], "bedrooms": [2]}}"#, "column 'stories' is missing"),
        (
            &house,
            r#"{"inputs": {"lotsize": [1], "bedrooms": [2], "stories": [3, 4]}}"#,
            "different numbers of rows",
        ),
        (
            &house,
            r#"{"inputs": {"lotsize": 1, "bedrooms": 2, "stories": 3}}"#,
            "column 'lotsize': expected an array",
        ),
        (&house, r#"{"inputs": {}}"#, "column 'lotsize' is missing"),
        (
            &house,
            r#"{"dataframe_split": {"columns": ["lotsize", "lotsize"], "data": []}}"#,
            "column 'lotsize' is given twice",
        ),
        (
            &house,
            r#"{"dataframe_split": {"columns": ["lotsize", "bedrooms", "storeys"], "data": []}}"#,
            "unknown field 'storeys'; did you mean 'stories'?",
        ),
        (
            &house,
            r#"{"dataframe_split": {"columns": ["lotsize", "bedrooms", "stories"], "data": [[1, 2, 3], [1, 2]]}}"#,
            "row 2: it has 2 of 3 values",
        ),
        (
            &house,
            r#"{"dataframe_split": {"columns": ["lotsize", "bedrooms", "stories"], "data": [[1, 2, 3, 4]]}}"#,
            "row 1: it has more than 3 values",
        ),
        (
            &house,
            r#"{"dataframe_split": {"columns": [["a", "b"]], "data": []}}"#,
            "columns: expected a string",
        ),
        (&house, r#"{"dataframe_split": {"columns": []}}"#, "the frame has no 'data'"),
        (&house, r#"{"dataframe_split": {"rows": []}}"#, "unknown key 'rows'"),
        (
            &house,
            r#"{"dataframe_split": [], "instances": []}"#,
            "'dataframe_split' and 'instances' are given",
        ),
        (&house, r#"{"instances": [], "instances": []}"#, "are given"),
        (
            &house,
            r#"{"instances": [], "parms": {}}"#,
            "unknown key 'parms' beside 'instances'; did you mean 'params'?",
        ),
        (&house, r#"{"instances": [], "params": {}, "parameters": {}}"#, "one holds parameters"),
        (&house, r#"{"instances": {}}"#, "expected an array"),
        (
            &house,
            r#"{"inputs": [{"name": "features", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}]}"#,
            "the route 'infer'",
        ),
        (&house, "7", "expected an object or an array"),
        (&house, "", "expected an object or an array"),
        (&house, "{", ""),
        (&house, "[] []", "something after the end"),
        (
            &flats,
            r#"[{"district": "a", "rooms": 1.5}]"#,
            "row 1: field 'rooms': 1.5 is not a whole number",
        ),
        (&flats, r#"[{"district": "a", "rooms": 1e30}]"#, "row 1: field 'rooms'"),
        (&flats, r#"[{"district": "a", "rooms": null}]"#, "row 1: field 'rooms' has no value"),
        (&flats, r#"[{"district": 7, "rooms": 1}]"#, "row 1: field 'district': expected a string"),
        (
            &flats,
            r#"[{"district": "a", "rooms": 1, "note": "x"}, {"district": "a", "rooms": 1}]"#,
            "row 2: field 'note' has no value, and in other rows it has one",
        ),
        (&notes, r#"{"list": [[1, 2, 3]]}"#, "row 1: field 'list': it has shape [1, 3], expected"),
        (&notes, r#"{"actoin": "list"}"#, "row 1: unknown field 'actoin'; did you mean 'action'?"),
        (&notes, r#"{"action": "list", "max_tokens": 5}"#, "unknown field 'max_tokens'"),
    ] {
        let error = read(metadata, text).unwrap_err();
        assert!(error.contains(says) && !error.contains(char::is_control), "{text}: {error}");
    }
}

#[test]
fn faults_of_csv_name_row_and_field() {
    let (house, flats) = (house(), flats());
    let head = "lotsize,bedrooms,stories\n";

    for (metadata, text, says) in [
        (&house, "", "the CSV is empty"),
        (&house, "\u{feff}", "the CSV is empty"),
        (&house, "lotsize,bedrooms\n1,2\n", "column 'stories' is missing"),
        (
            &house,
            "lotsize,bedrooms,Stories\n1,2,3\n",
            "unknown field 'Stories'; did you mean 'stories'?",
        ),
        (&house, "lotsize,lotsize,stories\n", "column 'lotsize' is given twice"),
        (&house, "1,2,3\n", "the first line of the CSV names the columns"),
        (&house, &format!("{head}1,2,3\n1,2\n"), "row 2: it has 2 cells, and there are 3 columns"),
        (&house, &format!("{head}1,2,3,4\n"), "row 1: it has 4 cells"),
        (&house, &format!("{head}1,two,3\n"), "row 1: field 'bedrooms': 'two' is not a number"),
        (&house, &format!("{head}1,NaN,3\n"), "row 1: field 'bedrooms'"),
        (&house, &format!("{head}1,\"a\nb\",3\n"), "row 1: field 'bedrooms'"),
        (&flats, "district,rooms\na,\n", "row 1: field 'rooms' has no value"),
        (&flats, "district,rooms\na,1.5\n", "row 1: field 'rooms': '1.5' is not a whole"),
        (&images(), "image\n1\n", "cannot hold a list"),
        (&house, &format!("{head}1,\"2\n3,4,5\n"), "line 2 of the CSV: a quote is never closed"),
        (&house, &format!("{head}1,\"1\"2,3\n"), "line 2 of the CSV: a cell in quotes goes on"),
        (&flats, "district,rooms\n\"ab\"c,1\n", "line 2 of the CSV: a cell in quotes goes on"),
        (&house, &",".repeat(2000), "there are more than 1004 columns"),
    ] {
        let error = csv(metadata, text).unwrap_err();
        assert!(error.contains(says) && !error.contains(char::is_control), "{text}: {error}");
    }

    let error = decode_csv(&house, PredictRoute::Predict, b"a\xff\n", &Pacer::unmetered());
    assert!(error.unwrap_err().contains("not UTF-8"));
}

#[test]
fn an_empty_line_of_texts_is_a_text_and_one_of_numbers_is_none() {
    let upper = model(
        vec![spec("text", Datatype::Bytes, &[-1])],
        vec![spec("text", Datatype::Bytes, &[-1])],
        8,
    );
    let text = "text\r\na\r\n\r\nb\r\n";
    assert_eq!(inputs(&upper, csv(&upper, text)), [r#"text [3] ["a","","b"]"#]);

    let number =
        model(vec![spec("x", Datatype::Fp64, &[-1])], vec![spec("y", Datatype::Fp64, &[-1])], 8);
    assert_eq!(inputs(&number, csv(&number, "x\n1\n\n2\n")), ["x [2] [1.0,2.0]"]);
}

#[test]
fn booleans_are_numbers_where_the_model_takes_numbers() {
    let house = house();
    let forms = [r#"[{"lotsize": true, "bedrooms": 2, "stories": false}]"#, r#"[[1, 2, false]]"#];
    same(&house, &forms, &["features [1, 3] [[1.0,2.0,0.0]]"]);
    let text = "lotsize,bedrooms,stories\nTrue,2,false\n";
    assert_eq!(inputs(&house, csv(&house, text)), ["features [1, 3] [[1.0,2.0,0.0]]"]);
    let flats = flats();
    let forms = [r#"[{"district": "a", "rooms": true}]"#];
    same(&flats, &forms, &[r#"district [1, 1] [["a"]]"#, "rooms [1, 1] [[1]]"]);
}

#[test]
fn null_is_a_missing_category_and_no_other_text() {
    let property = |name: &str, value: &str| Parameter {
        name: name.into(),
        value: ParameterValue::Text(value.into()),
    };
    let asked = r#"[{"district": null, "rooms": 1}, {"district": "a", "rooms": 2}]"#;
    let error = read(&flats(), asked).unwrap_err();
    assert!(error.contains("field 'district' has no value, and this model takes no"), "{error}");

    for property in [
        property("categories", r#"{"district": ["a", "b"]}"#),
        property("missing_values", "yes"),
        property("missing_values", "[1]"),
    ] {
        let flats = Metadata { properties: vec![property].into(), ..flats() };
        same(&flats, &[asked], &[r#"district [2, 1] [[""],["a"]]"#, "rooms [2, 1] [[1],[2]]"]);
    }
    for property in
        [property("categories", r#"{"district": ["a", ""]}"#), property("missing_values", "[0]")]
    {
        let flats = Metadata { properties: vec![property].into(), ..flats() };
        assert!(read(&flats, asked).is_err());
    }
}

#[test]
fn missing_numbers_are_nan_and_never_zero() {
    let house = house();
    for read in [
        read(&house, r#"[{"lotsize": null, "bedrooms": 2, "stories": 3}]"#),
        read(&house, r#"[[null, 2, 3]]"#),
        read(&house, r#"{"inputs": {"features": [[null, 2, 3]]}}"#),
        csv(&house, "lotsize,bedrooms,stories\n,2,3\n"),
        csv(&house, "lotsize,bedrooms,stories\n \t,2,3\n"),
    ] {
        let data = read.unwrap().0.request.inputs.remove(0).data;
        let values: Vec<_> =
            data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();
        assert!(values[0].is_nan() && values[1..] == [2.0, 3.0], "{values:?}");
    }
}

#[test]
fn no_rows_are_an_empty_tensor() {
    for read in [
        read(&house(), "[]"),
        read(&house(), r#"{"instances": []}"#),
        read(&house(), r#"{"inputs": {"features": []}}"#),
        read(
            &house(),
            r#"{"dataframe_split": {"columns": ["lotsize", "bedrooms", "stories"], "data": []}}"#,
        ),
        csv(&house(), "lotsize,bedrooms,stories\n"),
    ] {
        assert_eq!(inputs(&house(), read), ["features [0, 3] []"]);
    }
}

#[test]
fn invocations_pass_over_columns_of_no_similar_name() {
    let house = house();
    let row = r#""lotsize": 1, "bedrooms": 2, "stories": 3"#;
    for text in [
        format!(r#"{{"dataframe_records": [{{{row}, "owner": {{"a": [1]}}}}]}}"#),
        r#"{"dataframe_split": {"columns": ["owner", "lotsize", "bedrooms", "stories"], "data": [["x", 1, 2, 3]]}}"#.into(),
        r#"{"inputs": {"owner": [], "lotsize": [1], "bedrooms": [2], "stories": [3]}}"#.into(),
    ] {
        assert_eq!(inputs(&house, invoke(&house, &text)), ["features [1, 3] [[1.0,2.0,3.0]]"], "{text}");
        assert!(read(&house, &text).unwrap_err().contains("unknown field 'owner'"));
    }

    assert!(
        invoke(&house, &format!(r#"{{{row}, "owner": 1}}"#))
            .unwrap_err()
            .contains("unknown field 'owner'")
    );
    let text = r#"{"dataframe_records": [{"lotsize": 1, "bedrooms": 2, "storeys": 3}]}"#;
    assert!(
        invoke(&house, text)
            .unwrap_err()
            .contains("row 1: field 'stories' is missing; there is 'storeys'")
    );

    let flats = flats();
    for text in [
        r#"{"dataframe_records": [{"district": "a", "rooms": 1, "Size": 3}]}"#,
        r#"{"dataframe_split": {"columns": ["district", "rooms", "Size"], "data": [["a", 1, 3]]}}"#,
    ] {
        assert!(
            invoke(&flats, text)
                .unwrap_err()
                .contains("unknown field 'Size'; did you mean 'size'?"),
            "{text}"
        );
    }
}

#[test]
fn invocations_read_the_bare_words_of_python() {
    let text = r#"{"dataframe_split": {"columns": ["lotsize", "bedrooms", "stories", "owner"], "data": [[NaN, 2, Infinity, NaN]]}}"#;
    let data = invoke(&house(), text).unwrap().0.request.inputs.remove(0).data;
    let values: Vec<_> =
        data.as_chunks().0.iter().map(|bytes| f64::from_le_bytes(*bytes)).collect();

    assert!(values[0].is_nan() && values[1..] == [2.0, f64::INFINITY], "{values:?}");
    assert!(read(&house(), &text.replace(", \"owner\"", "").replace(", NaN]", "]")).is_err());
    assert!(invoke(&house(), r#"{"lotsize": NaN, "bedrooms": 2, "stories": 3}"#).is_err());
}

#[test]
fn invocations_read_inference_requests() {
    let house = house();
    let tensor = r#"{"name": "features", "datatype": "FP64", "shape": [1, 3], "data": [1, 2, 3]}"#;

    for text in [
        format!(r#"{{"inputs": [{tensor}], "outputs": [{{"name": "price"}}]}}"#),
        r#"{"inputs": []}"#.into(),
    ] {
        let (_, form) = invoke(&house, &text).unwrap();
        assert!(matches!(form, PredictForm::Inference(_)), "{text}: {form:?}");
    }
    // Records that have these fields are records.
    let named = model(
        vec![spec("name", Datatype::Bytes, &[-1]), spec("datatype", Datatype::Bytes, &[-1])],
        vec![spec("y", Datatype::Bytes, &[-1])],
        8,
    );
    let records = r#"{"instances": [{"name": "a", "datatype": "b"}]}"#;
    assert_eq!(inputs(&named, invoke(&named, records)).len(), 2);
}

#[test]
fn parameters_stand_beside_the_table() {
    let notes = notes();
    for text in [
        r#"{"dataframe_records": [{"action": "a"}], "params": {"max_tokens": 5, "timeout": 9}}"#,
        r#"{"action": "a", "parameters": {"max_tokens": 5, "timeout": 9}}"#,
        r#"{"params": {"max_tokens": 5, "timeout": 9}, "inputs": {"action": "a"}}"#,
    ] {
        let (decoded, _) = read(&notes, text).unwrap();
        let parameter = Parameter { name: "max_tokens".into(), value: ParameterValue::Integer(5) };
        assert_eq!(decoded.request.parameters, [parameter], "{text}");
        assert!(decoded.timeout.is_some());
    }

    let text = r#"{"action": "a", "parameters": 5}"#;
    assert!(read(&notes, text).unwrap_err().contains("parameters"));

    // A field of that name wins.
    let taken = model(
        vec![spec("params", Datatype::Int64, &[-1])],
        vec![spec("y", Datatype::Int64, &[-1])],
        8,
    );
    assert_eq!(inputs(&taken, read(&taken, r#"{"params": 5}"#)), ["params [1] [5]"]);
}

fn tensor(name: &str, shape: &[u64], values: &[f32]) -> Tensor {
    let data = values.iter().flat_map(|value| value.to_le_bytes()).collect();
    Tensor { name: name.into(), datatype: Datatype::Fp32, shape: shape.into(), data }
}

fn texts(name: &str, texts: &[&[u8]]) -> Tensor {
    let mut data = Vec::new();
    texts.iter().for_each(|text| push_bytes_element(&mut data, text).unwrap());
    Tensor { name: name.into(), datatype: Datatype::Bytes, shape: vec![texts.len() as u64], data }
}

fn written(metadata: &Metadata, outputs: Vec<Tensor>, layout: Layout) -> Result<String, String> {
    let response = InferResponse { outputs, ..InferResponse::default() };
    written_in(Style::Flat, metadata, &response, layout)
}

fn written_in(
    style: Style,
    metadata: &Metadata,
    response: &InferResponse,
    layout: Layout,
) -> Result<String, String> {
    let pacer = Pacer::unmetered();
    let writer = PredictionWriter::new(style, response, 1 << 16, &pacer);
    let body = write(metadata, response, layout, writer);
    body.map(|body| String::from_utf8(body).unwrap()).map_err(|error| error.to_string())
}

#[test]
fn predictions_are_a_list_with_one_entry_a_row() {
    let price = model(vec![], vec![spec("price", Datatype::Fp32, &[-1, 1])], 8);
    for (rows, values, expected) in
        [(0, &[][..], "[]"), (1, &[1.5], "[1.5]"), (2, &[1.5, 2.0], "[1.5,2.0]")]
    {
        let outputs = vec![tensor("price", &[rows, 1], values)];
        let text = written(&price, outputs, Layout::Rows(rows)).unwrap();
        assert_eq!(text, format!("{{\"predictions\":{expected}}}"));
    }

    let outputs = vec![texts("a", &[b"x", b"\xff"]), tensor("b", &[2, 2], &[1.0, 2.0, 3.0, 4.0])];
    assert_eq!(
        written(&flats(), outputs, Layout::Rows(2)).unwrap(),
        r#"{"predictions":[{"a":"x","b":[1.0,2.0]},{"a":{"b64":"/w=="},"b":[3.0,4.0]}]}"#
    );

    // An object stays an object without its optional outputs.
    let outputs = vec![texts("a", &[b"x"])];
    assert_eq!(
        written(&flats(), outputs, Layout::Rows(1)).unwrap(),
        r#"{"predictions":[{"a":"x"}]}"#
    );

    let ids = |data: &[u8]| Tensor {
        name: "id".into(),
        datatype: Datatype::Int64,
        shape: vec![data.len() as u64 / 8],
        data: data.into(),
    };
    for (id, expected) in [(ids(&1i64.to_le_bytes()), "[1]"), (ids(&[0; 16]), "[0,0]")] {
        let text = written(&notes(), vec![id, texts("text", &[b"t"])], Layout::Whole).unwrap();
        assert_eq!(text, format!("{{\"predictions\":[{{\"id\":{expected},\"text\":\"t\"}}]}}"));
    }
}

#[test]
fn an_output_that_all_rows_share_is_in_each() {
    let learner = model(
        vec![spec("x", Datatype::Fp32, &[-1, 2])],
        vec![spec("p", Datatype::Fp32, &[-1]), spec("seen", Datatype::Fp32, &[1])],
        0,
    );
    let outputs = vec![tensor("p", &[2], &[1.0, 2.0]), tensor("seen", &[1], &[9.0])];
    assert_eq!(
        written(&learner, outputs, Layout::Rows(2)).unwrap(),
        r#"{"predictions":[{"p":1.0,"seen":9.0},{"p":2.0,"seen":9.0}]}"#
    );

    let outputs = vec![tensor("p", &[3], &[1.0, 2.0, 3.0]), tensor("seen", &[1], &[9.0])];
    let error = written(&learner, outputs, Layout::Rows(2)).unwrap_err();
    assert!(error.contains("output 'p' has the shape [3] for 2 rows"), "{error}");
}

#[test]
fn numbers_that_are_not_finite_are_null_and_the_bare_words_of_mlflow() {
    let price = model(vec![], vec![spec("price", Datatype::Fp32, &[-1, 1])], 8);
    let values = [f32::NAN, f32::INFINITY, -f32::INFINITY, 0.5];
    let outputs = vec![tensor("price", &[4, 1], &values)];
    let response = InferResponse { outputs, ..InferResponse::default() };
    for (style, expected) in [
        (Style::Flat, r#"{"predictions":[null,null,null,0.5]}"#),
        (Style::Mlflow, r#"{"predictions":[NaN,Infinity,-Infinity,0.5]}"#),
        (Style::Nested, r#"{"predictions":[[NaN],[Infinity],[-Infinity],[0.5]]}"#),
    ] {
        let text = written_in(style, &price, &response, Layout::Rows(4));
        assert_eq!(text, Ok(expected.into()));
    }
}

#[test]
fn an_answer_is_bounded() {
    let shared =
        model(vec![], vec![spec("a", Datatype::Fp32, &[4]), spec("b", Datatype::Fp32, &[-1])], 0);
    let rows = 100_000;
    let outputs =
        || vec![tensor("a", &[4], &[0.0; 4]), tensor("b", &[rows], &vec![0.0; rows as usize])];
    assert!(written(&shared, outputs(), Layout::Rows(rows)).unwrap_err().contains("longer than"));

    let empty = Tensor { shape: vec![1 << 60, 0], ..tensor("b", &[0], &[]) };
    let single = model(vec![], vec![spec("b", Datatype::Fp32, &[-1, -1])], 0);
    assert!(written(&single, vec![empty], Layout::Whole).unwrap_err().contains("longer than"));
}

#[test]
fn few_bytes_do_not_become_many() {
    let sparse = model(
        (0..250).map(|number| optional(&format!("f{number}"), Datatype::Fp64, &[-1])).collect(),
        vec![spec("y", Datatype::Fp64, &[-1])],
        1 << 20,
    );
    let text = format!("[{}]", vec!["{}"; 50_000].join(","));
    assert!(read(&sparse, &text).unwrap_err().contains("too many fields have no value"));

    let large = model(
        vec![optional("image", Datatype::Fp32, &[-1, 1000, 1000])],
        vec![spec("y", Datatype::Fp64, &[-1])],
        1 << 20,
    );
    assert_eq!(inputs(&large, read(&large, r#"[{"image": null}, {}]"#)), [""; 0]);
}

proptest! {
    #[test]
    fn arbitrary_text_does_not_panic(text in "[\\[\\]{}:,\" 0-9a-z.\\-\n]{0,48}") {
        for metadata in [house(), flats(), notes(), double(), images(), tokens()] {
            let _ = read(&metadata, &text);
            let _ = csv(&metadata, &text);
            for key in ["instances", "inputs", "dataframe_split", "dataframe_records", "lotsize", "ids"] {
                let _ = read(&metadata, &format!("{{\"{key}\": {text}}}"));
            }
        }
    }

    #[test]
    fn all_forms_of_a_table_agree(rows in prop::collection::vec(prop::array::uniform3(-1e6f64..1e6), 0..20)) {
        let metadata = house();
        let names = ["lotsize", "bedrooms", "stories"];
        let records: Vec<Value> = rows
            .iter()
            .map(|row| names.iter().zip(row).map(|(name, value)| ((*name).to_owned(), json!(value))).collect::<serde_json::Map<_, _>>().into())
            .collect();
        let columns: serde_json::Map<_, _> = names
            .iter()
            .enumerate()
            .map(|(at, name)| ((*name).to_owned(), json!(rows.iter().map(|row| row[at]).collect::<Vec<_>>())))
            .collect();
        let lines: String = rows.iter().map(|[a, b, c]| format!("{a},{b},{c}\n")).collect();

        let data: Vec<u8> = rows.iter().flatten().flat_map(|value| value.to_le_bytes()).collect();
        let expected = Tensor { name: "features".into(), datatype: Datatype::Fp64, shape: vec![rows.len() as u64, 3], data };

        for read in [
            read(&metadata, &json!(records).to_string()),
            read(&metadata, &json!({ "dataframe_records": records }).to_string()),
            read(&metadata, &json!({ "instances": rows }).to_string()),
            read(&metadata, &json!({ "inputs": columns }).to_string()),
            read(&metadata, &json!({ "dataframe_split": { "columns": names, "data": rows } }).to_string()),
            csv(&metadata, &format!("{}\n{lines}", names.join(","))),
        ] {
            prop_assert_eq!(&read.unwrap().0.request.inputs, std::slice::from_ref(&expected));
        }
    }
}

#[test]
fn nesting_bombs_are_rejected() {
    for head in [
        "",
        "{\"instances\":",
        "{\"inputs\":",
        "{\"x\":",
        "{\"params\":",
        "{\"dataframe_split\":{\"data\":",
    ] {
        let bomb = format!("{head}{}", "[".repeat(100_000));
        assert!(read(&house(), &bomb).is_err());
        assert!(read(&images(), &bomb).is_err());
    }
}

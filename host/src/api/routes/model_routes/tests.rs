//! Requests become tensors, outputs become answers, and faults are named.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::Bytes;
use proptest::prelude::*;

use super::document::write_paths;
use super::request::{RequestHead, SessionPart, check_head, decode};
use super::{answer, check_routes};
use crate::api::http::request_memory::RequestMemory;
use crate::api::routes::routes;
use crate::model::{
    Datatype, InferError, InferRequest, InferResponse, Metadata, ModelRoute, Parameter,
    ParameterValue, RESERVED_SEGMENTS, TenantName, Tensor, TensorSpec, bytes_elements,
    push_bytes_element,
};
use crate::repository::parse_model_toml;
use crate::tenant::{Pacer, Quota, Resource, Tenant, TenantSettings};

fn spec(name: &str, datatype: Datatype, shape: &[i64], optional: bool) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.into(), optional }
}

/// A model like `notes`: every input is optional, and the outputs have any number of rows.
fn notes() -> Metadata {
    Metadata {
        inputs: vec![
            spec("action", Datatype::Bytes, &[1], true),
            spec("text", Datatype::Bytes, &[1], true),
            spec("id", Datatype::Int64, &[1], true),
            spec("tags", Datatype::Bytes, &[-1], true),
        ],
        outputs: vec![
            spec("id", Datatype::Int64, &[-1], false),
            spec("text", Datatype::Bytes, &[-1], false),
            spec("note", Datatype::Bytes, &[1], true),
        ],
        ..Metadata::default()
    }
}

/// A model with a matrix of two named columns, in batches.
fn flats() -> Metadata {
    let names = ParameterValue::Text(r#"["rooms", "size"]"#.into());
    Metadata {
        inputs: vec![spec("features", Datatype::Fp32, &[-1, 2], false)],
        outputs: vec![spec("price", Datatype::Fp32, &[-1, 1], false)],
        max_batch_size: 8,
        properties: vec![Parameter { name: "feature_names".into(), value: names }].into(),
        ..Metadata::default()
    }
}

/// A model that takes an image and answers with one.
fn image() -> Metadata {
    Metadata {
        inputs: vec![spec("pixels", Datatype::Uint8, &[-1, 4], false)],
        outputs: vec![
            spec("pixels", Datatype::Uint8, &[-1, 4], false),
            spec("png", Datatype::Bytes, &[1], true),
        ],
        ..Metadata::default()
    }
}

fn route(text: &str) -> Arc<ModelRoute> {
    parse_model_toml(&format!("[[routes]]\n{text}")).unwrap().routes.remove(0)
}

fn check(metadata: &Metadata, text: &str) -> Result<(), String> {
    check_routes(metadata, &[route(text)])
}

fn ask(
    metadata: &Metadata,
    text: &str,
    path: &[&str],
    query: &str,
    body: &[u8],
) -> Result<InferRequest, String> {
    let route = route(text);
    assert_eq!(check_routes(metadata, std::slice::from_ref(&route)), Ok(()));

    let path = path.iter().map(|value| (*value).to_owned()).collect();
    let head = RequestHead {
        path,
        query: query.into(),
        boundary: Some("b".into()),
        ..RequestHead::default()
    };
    let body = Bytes::copy_from_slice(body);
    let request = decode(&route, metadata, &head, &body, &Pacer::unmetered())?.0.request;
    assert_eq!(metadata.check_request(&request), Ok(()));
    Ok(request)
}

/// Returns the texts of an input.
fn texts<'r>(request: &'r InferRequest, name: &str) -> Vec<&'r str> {
    let input = request.inputs.iter().find(|input| input.name == name);
    let data = input.map_or(&[][..], |input| &input.data);
    let elements = crate::model::bytes_elements(data);
    elements.map(|element| std::str::from_utf8(element.unwrap()).unwrap()).collect()
}

fn floats(request: &InferRequest) -> Vec<f32> {
    let chunks = request.inputs[0].data.as_chunks::<4>().0.iter();
    chunks.map(|chunk| f32::from_le_bytes(*chunk)).collect()
}

const SESSION: &str = "path = '/{sess_id}/{task_id}/{prompt}'\n\
    inputs = { text = 'prompt', id = 'task_id' }\nparameters = { sequence_id = 'sess_id' }";

#[test]
fn parts_of_the_path_fill_inputs_and_parameters() {
    let request = ask(&notes(), SESSION, &["007", "12", "to be / or not"], "", b"").unwrap();
    assert_eq!(texts(&request, "text"), ["to be / or not"]);
    let id = request.inputs.iter().find(|input| input.name == "id").unwrap();
    assert_eq!(id.data, 12i64.to_le_bytes());
    assert_eq!(request.session.unwrap().id, "007");

    let fault = ask(&notes(), SESSION, &["s", "twelve", "x"], "", b"").unwrap_err();
    assert!(
        fault.starts_with("path parameter 'task_id': 'twelve' is not a whole number"),
        "{fault}"
    );
}

#[test]
fn a_connection_gives_its_requests_their_session() {
    let route = route("path = '/a'\nwebsocket = true\nsession = true\nbody = 'json'");
    let session = |is_start| {
        let session = Some(SessionPart { id: "7".into(), is_start });
        let head = RequestHead { session, ..RequestHead::default() };
        let body = Bytes::from_static(b"{}");
        let decoded = decode(&route, &notes(), &head, &body, &Pacer::unmetered()).unwrap().0;
        decoded.request.session.unwrap()
    };
    assert_eq!((session(true).id.as_str(), session(true).start), ("7", true));
    assert!(!session(false).start && !session(false).end);
}

#[test]
fn the_parts_before_the_body_are_checked_without_it() {
    let route = route(
        "path = '/{id}'\nquery = ['q', { limit = 5 }]\nwebsocket = true\nbody = 'json'\n\
         inputs = { text = 'q' }\nparameters = { limit = 'limit' }",
    );
    let check = |id: &str, query: &str| {
        let path = vec![id.into()];
        let head = RequestHead { path, query: query.into(), ..RequestHead::default() };
        check_head(&route, &notes(), &head, &Pacer::unmetered())
    };
    assert_eq!(check("7", ""), Ok(()));
    assert_eq!(check("7", "q=a&limit=3"), Ok(()));
    for (id, query, says) in [
        ("seven", "", "path parameter 'id': 'seven' is not a whole number"),
        ("7", "p=a", "unknown query parameter 'p'"),
        ("7", "q=%ff", "the query is not UTF-8"),
    ] {
        let fault = check(id, query).unwrap_err();
        assert!(fault.contains(says), "{fault}");
    }
}

const LIST: &str = "path = '/notes'\nquery = ['q', 'tag', { skip = 0, limit = 100 }]\n\
    inputs = { text = 'q', tags = 'tag', action = { value = 'list' }, id = 'skip' }\n\
    parameters = { limit = 'limit' }";

#[test]
fn query_parameters_have_defaults_and_lists() {
    let request = ask(&notes(), LIST, &[], "q=a%20b+c&tag=x&tag=y&limit=7", b"").unwrap();
    assert_eq!(texts(&request, "text"), ["a b c"]);
    assert_eq!(texts(&request, "tags"), ["x", "y"]);
    assert_eq!(texts(&request, "action"), ["list"]);
    let parameter = |value| Parameter { name: "limit".into(), value };
    assert_eq!(request.parameters, [parameter(ParameterValue::Integer(7))]);

    let request = ask(&notes(), LIST, &[], "tag=", b"").unwrap();
    assert_eq!(texts(&request, "tags"), [""]);
    assert!(request.inputs.iter().all(|input| input.name != "text"));
    assert_eq!(request.parameters, [parameter(ParameterValue::Integer(100))]);
}

#[test]
fn faults_name_the_part_of_the_request() {
    for (query, says) in [
        ("q=a&q=b", "query parameter 'q': it is given twice"),
        ("skip=x", "query parameter 'skip': 'x' is not a whole number in the datatype's range"),
        ("skip=1.5", "query parameter 'skip': '1.5' is not a whole number"),
        ("limit=1&limit=2", "query parameter 'limit': it is given twice"),
        ("lmit=1", "unknown query parameter 'lmit'; did you mean 'limit'?"),
        ("text=a", "unknown query parameter 'text'"),
        ("q=%ff", "the query is not UTF-8"),
    ] {
        let fault = ask(&notes(), LIST, &[], query, b"").unwrap_err();
        assert!(fault.contains(says), "{query}: {fault}");
    }
    assert!(ask(&notes(), LIST, &[], "q=%EF%BF%BD", b"").is_ok(), "the character itself is text");
    assert!(ask(&notes(), LIST, &[], "skip=", b"").is_ok(), "an optional number may be absent");
    let many = "tag=a&".repeat(2000);
    assert!(ask(&notes(), LIST, &[], &many, b"").unwrap_err().contains("more than 1024"));
    assert!(ask(&notes(), LIST, &[], "", b"{}").unwrap_err().contains("takes no body"));
}

const CREATE: &str = "path = '/notes/{id}'\nmethod = 'POST'\nbody = 'json'\n\
    inputs = { text = 'content', action = { value = 'create' } }\nparameters = { sequence_id = 's' }";

#[test]
fn members_of_json_fill_the_other_inputs() {
    let body = br#"{"content": "milk", "tags": ["a", "b"], "s": 7}"#;
    let request = ask(&notes(), CREATE, &["3"], "", body).unwrap();
    assert_eq!(texts(&request, "text"), ["milk"]);
    assert_eq!(texts(&request, "tags"), ["a", "b"]);
    assert_eq!(request.session.unwrap().id, "7");

    for (body, says) in [
        (r#"{"contnt": "milk"}"#, "unknown field 'contnt'; did you mean 'content'?"),
        (r#"{"text": "milk"}"#, "unknown field 'text'"),
        (r#"{"action": "delete"}"#, "unknown field 'action'"),
        (r#"{"id": 4}"#, "unknown field 'id'"),
        (r#"{"sequence_id": 4}"#, "unknown field 'sequence_id'"),
        (r#"{"content": 5}"#, "field 'content'"),
        (r#"{"content": "a", "content": "b"}"#, "field 'content': it is given twice"),
        (r#"{"s": 1, "s": 2}"#, "field 's': it is given twice"),
        (r#"{"s": [1]}"#, "'s': expected a text"),
        (r#"["milk"]"#, "expected an object"),
        (r#"{"content": "milk"} x"#, "after the end of the JSON"),
        ("", "expected an object"),
    ] {
        let fault = ask(&notes(), CREATE, &["3"], "", body.as_bytes()).unwrap_err();
        assert!(fault.contains(says), "{body}: {fault}");
    }
}

#[test]
fn parameters_of_the_request_are_members_of_json_in_any_order() {
    let route = "path = '/a'\nmethod = 'POST'\nbody = 'json'\n\
        parameters = { one = 'a', two = 'b', sequence_id = 'c', none = 'd' }";
    let body = br#"{"c": "x", "text": "milk", "b": 2, "d": null, "a": true}"#;
    let request = ask(&notes(), route, &[], "", body).unwrap();
    let parameter = |name: &str, value| Parameter { name: name.into(), value };
    assert_eq!(
        request.parameters,
        [
            parameter("one", ParameterValue::Boolean(true)),
            parameter("two", ParameterValue::Integer(2))
        ]
    );
    assert_eq!(request.session.unwrap().id, "x");

    let twice = ask(&notes(), route, &[], "", br#"{"d": null, "d": 1}"#).unwrap_err();
    assert!(twice.contains("field 'd': it is given twice"), "{twice}");
}

/// The work grows with the sum of the names and columns, not with their product: each with each
/// would take minutes.
#[test]
fn many_names_and_columns_take_little_time() {
    let features = spec("features", Datatype::Fp32, &[-1, 65_536], false);
    let metadata = Metadata { inputs: vec![features], max_batch_size: 8, ..flats() };
    let list = |of: &dyn Fn(usize) -> String| (0..256).map(of).collect::<Vec<_>>().join(", ");
    let text = format!(
        "path = '/a'\nmethod = 'POST'\nbody = 'json'\nquery = [{}]\ninputs = {{ {} }}\n\
         parameters = {{ {} }}",
        list(&|at| format!("'{at}'")),
        list(&|at| format!("{} = 'm{at}'", at + 256)),
        list(&|at| format!("p{at} = 's{at}'")),
    );

    let begun = Instant::now();
    for (body, says) in [
        (r#"{"zzz": 1}"#, "unknown field 'zzz'; there are more than 200 fields"),
        (r#"{"256": 1}"#, "unknown field '256'"),
        (r#"{"255": 1}"#, "unknown field '255'"),
        (r#"{"m7": 1}"#, "query parameter '0' is missing"),
    ] {
        let fault = ask(&metadata, &text, &[], "", body.as_bytes()).unwrap_err();
        assert!(fault.contains(says), "{body}: {fault}");
    }
    assert!(begun.elapsed() < Duration::from_secs(20), "{:?}", begun.elapsed());
}

/// Returns the length of the paths in the document of 64 routes of a model with 12,000 columns, or
/// the refusal of a tenant with this quota of memory.
fn length_of_wide_paths(memory: u64) -> Result<usize, InferError> {
    let names: Vec<_> = (0..12_000).map(|column| format!("the column {column}")).collect();
    let names = ParameterValue::Text(serde_json::to_string(&names).unwrap());
    let metadata = Metadata {
        inputs: vec![spec("features", Datatype::Fp32, &[-1, 12_000], false)],
        properties: vec![Parameter { name: "feature_names".into(), value: names }].into(),
        ..flats()
    };
    let text: String = (0..64)
        .map(|at| format!("[[routes]]\npath = '/{at}'\nmethod = 'POST'\nbody = 'json'\n"))
        .collect();
    let routes = parse_model_toml(&text).unwrap().routes;

    let quota = Quota { memory, ..Quota::unlimited() };
    let settings = TenantSettings { quota, ..TenantSettings::default() };
    let tenant = Tenant::new(TenantName::default_tenant(), settings);
    let mut memory = RequestMemory::new(&tenant);
    let pacer = Pacer::unmetered();
    let (_, written) = write_paths(&metadata, &routes, "wide", &mut memory, &pacer)?;
    assert!(tenant.used(Resource::Memory) > written.len() as u64);

    let closed = String::from_utf8(written.clone()).unwrap() + "}";
    let paths: serde_json::Value = serde_json::from_str(&closed).unwrap();
    assert_eq!(paths["paths"].as_object().unwrap().len(), 64 + 2, "inference has two");
    Ok(written.len())
}

#[test]
fn the_document_of_many_routes_has_the_record_once_and_counts_as_memory() {
    let length = length_of_wide_paths(1 << 30).unwrap();
    assert!(length < 64 * 4096, "{length}");
    let refused = length_of_wide_paths(1 << 20).unwrap_err();
    assert!(matches!(refused, InferError::QuotaExceeded(_)), "{refused:?}");
}

#[test]
fn fields_of_a_form_are_read_like_a_query() {
    let route = CREATE.replace("json", "form");
    let request = ask(&notes(), &route, &["3"], "", b"content=a+b%26&tags=x&tags=y&s=a").unwrap();
    assert_eq!(texts(&request, "text"), ["a b&"]);
    assert_eq!(texts(&request, "tags"), ["x", "y"]);
    assert_eq!(request.session.unwrap().id, "a");

    for (body, says) in [
        ("contnt=a", "unknown field 'contnt'; did you mean 'content'?"),
        ("content=a&content=b", "field 'content': it is given twice"),
        ("s=1&s=2", "field 's': it is given twice"),
        ("content=%ff", "the form is not UTF-8"),
    ] {
        let fault = ask(&notes(), &route, &["3"], "", body.as_bytes()).unwrap_err();
        assert!(fault.contains(says), "{body}: {fault}");
    }
}

/// Returns a form with these parts: a name, the rest of its line, and the content.
fn form(parts: &[(&str, &str, &[u8])]) -> Vec<u8> {
    let mut form = Vec::new();
    for (name, more, content) in parts {
        let head = format!("--b\r\nContent-Disposition: form-data; name=\"{name}\"{more}\r\n\r\n");
        form.extend_from_slice(head.as_bytes());
        form.extend_from_slice(content);
        form.extend_from_slice(b"\r\n");
    }
    form.extend_from_slice(b"--b--\r\n");
    form
}

const FILE: &str = "; filename=\"a.png\"\r\nContent-Type: image/png";

#[test]
fn fields_of_a_form_with_files_are_read_like_a_form() {
    let route = CREATE.replace("json", "multipart");
    let body = form(&[
        ("content", "", "a b&\r\n--c".as_bytes()),
        ("tags", "", b"x"),
        ("tags", "", b"y"),
        ("s", "", b"a"),
    ]);
    let request = ask(&notes(), &route, &["3"], "", &body).unwrap();
    assert_eq!(texts(&request, "text"), ["a b&\r\n--c"]);
    assert_eq!(texts(&request, "tags"), ["x", "y"]);
    assert_eq!(request.session.unwrap().id, "a");

    let twice = [("content", "", &b"a"[..]), ("content", "", b"b")];
    let mixed = [("content", "", &b"a"[..]), ("content", FILE, b"b")];
    let many = vec![("tags", "", &b"x"[..]); 1025];
    for (body, says) in [
        (form(&[("contnt", "", b"a")]), "unknown field 'contnt'; did you mean 'content'?"),
        (form(&[("contnt", FILE, b"a")]), "unknown field 'contnt'; did you mean 'content'?"),
        (form(&twice), "field 'content': it is given twice"),
        (form(&mixed), "field 'content': it is given twice"),
        (form(&[("s", "", b"1"), ("s", "", b"2")]), "field 's': it is given twice"),
        (form(&[("content", "", b"\xff")]), "field 'content': it is not UTF-8; send bytes as a"),
        (form(&many), "the form has more than 1024 fields"),
        (b"--b\r\nContent-Type: text/plain\r\n\r\na\r\n--b--".to_vec(), "has no name"),
        (form(&[("content", "", b"a")])[..40].to_vec(), "the form"),
        (form(&[("content", "", b"a")])[..60].to_vec(), "the form is cut off"),
        (b"--c--\r\n".to_vec(), "the form is cut off, or its parts have another boundary"),
        (Vec::new(), "the form is cut off"),
    ] {
        let fault = ask(&notes(), &route, &["3"], "", &body).unwrap_err();
        assert!(fault.contains(says), "{}: {fault}", String::from_utf8_lossy(&body));
    }
}

#[test]
fn files_of_a_form_fill_inputs_with_their_bytes() {
    let route = "path = '/a'\nmethod = 'POST'\nbody = 'multipart'";
    let png: Vec<u8> = (0..=255).collect();
    let inputs = vec![
        spec("pixels", Datatype::Uint8, &[-1, 4], false),
        spec("png", Datatype::Bytes, &[1], true),
    ];
    let images = Metadata { inputs, ..image() };
    let body = form(&[("pixels", FILE, &[1, 2, 3, 4]), ("png", FILE, &png)]);
    let request = ask(&images, route, &[], "", &body).unwrap();
    let input = |name: &str| request.inputs.iter().find(|input| input.name == name).unwrap();
    assert_eq!(
        (&input("pixels").data[..], &input("pixels").shape),
        (&[1, 2, 3, 4][..], &vec![1, 4])
    );
    assert_eq!(bytes_elements(&input("png").data).next(), Some(Ok(&png[..])));

    let fault = ask(&images, route, &[], "", &form(&[("pixels", FILE, &[1])])).unwrap_err();
    assert!(fault.contains("field 'pixels'"), "{fault}");
    let empty = ask(&images, route, &[], "", b"--b--\r\n").unwrap_err();
    assert_eq!(empty, "field 'pixels' is missing");
}

#[test]
fn columns_of_a_matrix_are_fields() {
    let query = "path = '/rent'\nquery = ['rooms', 'm2']\ninputs = { size = 'm2' }";
    let request = ask(&flats(), query, &[], "m2=75.5&rooms=3", b"").unwrap();
    assert_eq!((floats(&request), &request.inputs[0].shape), (vec![3.0, 75.5], &vec![1, 2]));

    let missing = ask(&flats(), query, &[], "rooms=3", b"").unwrap_err();
    assert_eq!(missing, "query parameter 'm2' is missing");
    // A number that is empty is missing, and so NaN, as in a cell of CSV.
    assert!(floats(&ask(&flats(), query, &[], "rooms=&m2=1", b"").unwrap())[0].is_nan());
    let fault = ask(&flats(), query, &[], "rooms=1e39&m2=1", b"").unwrap_err();
    assert!(fault.starts_with("query parameter 'rooms': '1e39' is out of"), "{fault}");

    let json = "path = '/rent'\nmethod = 'POST'\nbody = 'json'";
    let request = ask(&flats(), json, &[], "", br#"{"size": 1, "rooms": 2}"#).unwrap();
    assert_eq!(floats(&request), [2.0, 1.0]);
    assert!(ask(&flats(), json, &[], "", br#"{"features": [2, 1]}"#).is_ok());
    let fault = ask(&flats(), json, &[], "", br#"{"size": 1}"#).unwrap_err();
    assert_eq!(fault, "field 'rooms' is missing");
}

#[test]
fn bytes_fill_an_input_as_they_are() {
    let raw = "path = '/image'\nmethod = 'POST'\nbody = 'raw'\ninputs = { pixels = 'body' }\nanswer = 'raw'\noutputs = 'pixels'";
    let request = ask(&image(), raw, &[], "", &[0, 1, 2, 255]).unwrap();
    assert_eq!((&request.inputs[0].shape, request.inputs[0].data[3]), (&vec![1, 4], 255));
    // A request is one row.
    for body in [&[1, 2, 3][..], &[1; 8], &[]] {
        let fault = ask(&image(), raw, &[], "", body).unwrap_err();
        assert!(fault.contains("elements do not fill the shape [4]"), "{fault}");
    }

    let text = "path = '/text'\nmethod = 'POST'\nbody = 'raw'\ninputs = { text = 'body' }";
    let request = ask(&notes(), text, &[], "", b"caf\xc3\xa9\n").unwrap();
    assert_eq!(texts(&request, "text"), ["café\n"]);
    let number = "path = '/id'\nmethod = 'POST'\nbody = 'raw'\ninputs = { id = 'body' }";
    let fault = ask(&notes(), number, &[], "", b"123").unwrap_err();
    assert!(fault.contains("3 bytes are no whole number of elements of INT64"), "{fault}");
}

#[test]
fn routes_that_cannot_work_are_refused_at_the_load() {
    for (metadata, text, says) in [
        (
            notes(),
            "path = '/a/{txt}'",
            "path parameter 'txt': the model has no input 'txt'; did you mean 'text'?",
        ),
        (
            notes(),
            "path = '/a'\nquery = ['x']",
            "the route GET /a: query parameter 'x': the model has no input",
        ),
        (
            notes(),
            "path = '/a'\ninputs = { q = { value = 1 } }",
            "inputs: the model has no input 'q'",
        ),
        (notes(), "path = '/a'\ninputs = { id = { value = 'x' } }", "the fixed value of 'id'"),
        (
            notes(),
            "path = '/a'\nquery = [{ id = 1.5 }]",
            "query parameter 'id': 1.5 is not a whole",
        ),
        (
            notes(),
            "path = '/a/{id}'\nquery = ['x']\ninputs = { id = 'x' }",
            "query parameter 'x': 'id' is filled twice",
        ),
        (
            notes(),
            "path = '/a/{id}'\ninputs = { id = { value = 1 } }",
            "inputs: 'id' is filled twice",
        ),
        (
            notes(),
            "path = '/a'\nmethod = 'POST'\nbody = 'raw'",
            "the body: the model has no input 'body'",
        ),
        (
            notes(),
            "path = '/a'\noutputs = { a = 'txt' }",
            "outputs: the model has no output 'txt'; did you mean 'text'?",
        ),
        (notes(), "path = '/a'\nanswer = 'raw'", "the model has several outputs"),
        (flats(), "path = '/a'", "nothing fills the input 'features'"),
        (flats(), "path = '/a'\nquery = ['rooms']", "nothing fills the input 'features'"),
        (
            flats(),
            "path = '/a'\nquery = ['rooms', 'size']\noutputs = 'prices'",
            "did you mean 'price'?",
        ),
    ] {
        let fault = check(&metadata, text).unwrap_err();
        assert!(fault.contains(says), "{text}: {fault}");
    }

    for (metadata, text) in [
        (notes(), "path = '/a'"),
        (notes(), SESSION),
        (notes(), LIST),
        (flats(), "path = '/a'\nquery = ['rooms', { size = 50 }]"),
        (flats(), "path = '/a/{rooms}'\nmethod = 'POST'\nbody = 'json'"),
        (flats(), "path = '/a'\ninputs = { features = { value = [1, 2] } }"),
    ] {
        assert_eq!(check(&metadata, text), Ok(()), "{text}");
    }
}

/// The server's own paths cannot be taken by a model.
#[test]
fn every_path_of_the_server_is_reserved() {
    let first = |path: &'static str| path.split('/').nth(1).unwrap_or_default();
    let own: BTreeSet<_> = routes().iter().map(|route| first(route.path)).collect();
    assert_eq!(own, BTreeSet::from(RESERVED_SEGMENTS));
}

fn bytes(name: &str, elements: &[&[u8]]) -> Tensor {
    let mut data = Vec::new();
    elements.iter().for_each(|element| push_bytes_element(&mut data, element).unwrap());
    Tensor {
        name: name.into(),
        datatype: Datatype::Bytes,
        shape: vec![elements.len() as u64],
        data,
    }
}

fn ids(ids: &[i64]) -> Tensor {
    let data = ids.iter().flat_map(|id| id.to_le_bytes()).collect();
    Tensor { name: "id".into(), datatype: Datatype::Int64, shape: vec![ids.len() as u64], data }
}

fn answered(text: &str, metadata: &Metadata, outputs: Vec<Tensor>) -> Result<Vec<u8>, InferError> {
    let response = InferResponse { outputs, ..InferResponse::default() };
    answer::write(&route(text), metadata, &response, 1 << 20, &Pacer::unmetered())
}

#[track_caller]
fn assert_answer(text: &str, rows: &[(i64, &str)], expected: &str) {
    let texts: Vec<_> = rows.iter().map(|(_, text)| text.as_bytes()).collect();
    let numbers: Vec<_> = rows.iter().map(|(id, _)| *id).collect();
    let outputs = vec![ids(&numbers), bytes("text", &texts)];
    let body = answered(&format!("path = '/a'\n{text}"), &notes(), outputs).unwrap();
    assert_eq!(String::from_utf8(body).unwrap(), expected, "{text}");
}

#[test]
fn outputs_become_the_answer_of_the_route() {
    let one = [(1, "a \"b\"")];
    let two = [(1, "a"), (2, "b")];
    assert_answer("", &one, r#"{"id":1,"text":"a \"b\""}"#);
    assert_answer("outputs = 'text'", &one, r#""a \"b\"""#);
    assert_answer(
        "outputs = { id = { value = '0' }, answer = 'text' }",
        &[(1, "CAT")],
        r#"{"id":"0","answer":"CAT"}"#,
    );
    assert_answer("answer = 'rows'", &two, r#"[{"id":1,"text":"a"},{"id":2,"text":"b"}]"#);
    assert_answer("answer = 'rows'\noutputs = 'id'", &two, "[1,2]");
    assert_answer("answer = 'rows'", &[], "[]");
    assert_answer("answer = 'columns'", &two, r#"{"id":[1,2],"text":["a","b"]}"#);
    assert_answer("answer = 'columns'\noutputs = 'id'", &[], "[]");
    assert_answer("answer = 'empty'", &two, "");
    // An optional output that is absent has no key, and is null without one.
    assert_answer("outputs = { note = 'note', id = 'id' }", &one, r#"{"id":1}"#);
    assert_answer("outputs = 'note'", &one, "null");
    assert_answer("outputs = { ok = { value = true } }", &two, r#"{"ok":true}"#);
}

#[test]
fn an_answer_of_one_row_needs_one() {
    let none = answered("path = '/a'", &notes(), vec![ids(&[]), bytes("text", &[])]);
    assert_eq!(none, Err(InferError::NothingFound));
    let several = answered("path = '/a'", &notes(), vec![ids(&[1, 2]), bytes("text", &[b"", b""])]);
    assert!(matches!(several, Err(InferError::BadOutput(_))));
    for answer in ["row", "rows"] {
        let text = format!("path = '/a'\nanswer = '{answer}'");
        let uneven = answered(&text, &notes(), vec![ids(&[1]), bytes("text", &[b"a", b"b"])]);
        assert!(matches!(uneven, Err(InferError::BadOutput(_))), "{uneven:?}");
    }
}

#[test]
fn raw_answers_are_the_bytes_of_one_output() {
    let raw = |outputs| format!("path = '/a'\nanswer = 'raw'\n{outputs}");
    let png = raw("outputs = 'png'");
    assert_eq!(
        answered(&png, &image(), vec![bytes("png", &[b"\x89PNG\0"])]),
        Ok(b"\x89PNG\0".into())
    );
    assert_eq!(answered(&png, &image(), vec![]), Err(InferError::NothingFound));
    assert_eq!(answered(&png, &image(), vec![bytes("png", &[])]), Err(InferError::NothingFound));
    let several = answered(&png, &image(), vec![bytes("png", &[b"a", b"b"])]);
    assert!(matches!(several, Err(InferError::BadOutput(_))));

    let pixels = Tensor {
        name: "pixels".into(),
        datatype: Datatype::Uint8,
        shape: vec![1, 4],
        data: vec![1, 2, 3, 4],
    };
    assert_eq!(answered(&raw("outputs = 'pixels'"), &image(), vec![pixels]), Ok(vec![1, 2, 3, 4]));
}

proptest! {
    #[test]
    fn texts_reach_the_model_unchanged(value in "\\PC{1,40}", tags in prop::collection::vec("\\PC{0,9}", 0..5)) {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.append_pair("q", &value);
        for tag in &tags {
            query.append_pair("tag", tag);
        }

        let request = ask(&notes(), LIST, &[], &query.finish(), b"").unwrap();
        prop_assert_eq!(texts(&request, "text"), [value.as_str()]);
        prop_assert_eq!(texts(&request, "tags"), tags);
    }

    #[test]
    fn numbers_reach_the_model_without_loss(id in any::<i64>(), rooms in any::<f32>()) {
        let request = ask(&notes(), SESSION, &["s", &id.to_string(), "x"], "", b"").unwrap();
        let found = request.inputs.iter().find(|input| input.name == "id").unwrap();
        prop_assert_eq!(&found.data, &id.to_le_bytes());

        prop_assume!(rooms.is_finite());
        let query = "path = '/rent'\nquery = ['rooms', { size = 1 }]";
        let request = ask(&flats(), query, &[], &format!("rooms={rooms:e}"), b"").unwrap();
        prop_assert_eq!(floats(&request)[0].to_bits(), rooms.to_bits());
    }

    #[test]
    fn arbitrary_requests_are_refused_or_fit(query in ".{0,60}", body in prop::collection::vec(any::<u8>(), 0..60)) {
        let _ = ask(&notes(), LIST, &[], &query, b"");
        let _ = ask(&notes(), CREATE, &["1"], "", &body);
        let _ = ask(&notes(), &CREATE.replace("json", "form"), &["1"], "", &body);
        let _ = ask(&notes(), &CREATE.replace("json", "multipart"), &["1"], "", &body);
    }
}

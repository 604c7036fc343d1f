//! Properties that hold for arbitrary requests to a route.

use std::sync::Arc;

use axum::body::Bytes;

use super::check_routes;
use super::request::{RequestHead, decode};
use crate::fuzzing::check_text;
use crate::model::{Datatype, Metadata, ModelRoute, Parameter, ParameterValue, TensorSpec};
use crate::repository::parse_model_toml;
use crate::tenant::Pacer;

const ROUTES: &str = r#"
[[routes]]
path = "/list/{text}"
query = ["q", "tag", { skip = 0, limit = 100 }]
inputs = { tags = "tag", id = "skip" }
parameters = { limit = "limit", sequence_id = "q" }

[[routes]]
method = "POST"
path = "/json/{action}"
body = "json"
inputs = { text = "content", id = { value = 1 } }
parameters = { sequence_id = "s" }

[[routes]]
method = "POST"
path = "/form/{action}"
body = "form"
inputs = { text = "content" }

[[routes]]
method = "POST"
path = "/raw/{action}"
body = "raw"
inputs = { numbers = "body" }

[[routes]]
path = "/columns/{text}"
query = ["rooms", { size = 1 }]
parameters = { seed = "text" }

[[routes]]
method = "POST"
path = "/multipart/{action}"
body = "multipart"
inputs = { text = "content" }
parameters = { sequence_id = "s" }
"#;

/// Checks a request. The first byte chooses the route; the lines after it are the value in the
/// path, the query and the body. The model would take the tensors of an accepted request, and they
/// are not much larger than it.
pub fn route_request(bytes: &[u8]) {
    let Some((&choice, request)) = bytes.split_first() else { return };
    let routes = parse_model_toml(ROUTES).expect("the routes are valid").routes;
    let route: &Arc<ModelRoute> = &routes[usize::from(choice) % routes.len()];
    let metadata = if route.path.as_str().starts_with("/columns") { flats() } else { notes() };
    assert_eq!(check_routes(&metadata, std::slice::from_ref(route)), Ok(()));

    let mut lines = request.splitn(3, |byte| *byte == b'\n');
    let mut text = || String::from_utf8_lossy(lines.next().unwrap_or_default()).into_owned();
    let head = RequestHead {
        path: vec![text()],
        query: text(),
        boundary: Some("b".into()),
        ..RequestHead::default()
    };
    let body = Bytes::copy_from_slice(lines.next().unwrap_or_default());

    match decode(route, &metadata, &head, &body, &Pacer::unmetered()) {
        Ok((decoded, _)) => {
            let inputs = &decoded.request.inputs;
            inputs.iter().for_each(|tensor| assert_eq!(tensor.check(), Ok(())));
            let held: usize = inputs.iter().map(|tensor| tensor.data.len()).sum();
            assert!(held <= 8 * bytes.len() + (64 << 10), "{held} bytes from {}", bytes.len());
            assert_eq!(metadata.check_request(&decoded.request), Ok(()));
        }
        Err(refusal) => check_text(&refusal, 4000),
    }
}

fn spec(name: &str, datatype: Datatype, shape: &[i64], optional: bool) -> TensorSpec {
    TensorSpec { name: name.into(), datatype, shape: shape.into(), optional }
}

fn notes() -> Metadata {
    Metadata {
        inputs: vec![
            spec("action", Datatype::Bytes, &[1], true),
            spec("text", Datatype::Bytes, &[1], true),
            spec("id", Datatype::Int64, &[1], true),
            spec("tags", Datatype::Bytes, &[-1], true),
            spec("numbers", Datatype::Fp16, &[-1, 2], true),
        ],
        outputs: vec![spec("y", Datatype::Fp32, &[-1], false)],
        ..Metadata::default()
    }
}

fn flats() -> Metadata {
    let names = ParameterValue::Text(r#"["rooms", "size"]"#.into());
    Metadata {
        inputs: vec![spec("features", Datatype::Fp32, &[-1, 2], false)],
        outputs: vec![spec("price", Datatype::Fp32, &[-1], false)],
        max_batch_size: 8,
        properties: vec![Parameter { name: "feature_names".into(), value: names }].into(),
        ..Metadata::default()
    }
}

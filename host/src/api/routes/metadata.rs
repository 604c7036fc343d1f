//! Metadata of the server and its models.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::offload;
use crate::api::oip::PLATFORM;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::{Metadata, ParameterValue, TensorSpec};
use crate::tenant::Pacer;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2", Access::Key, server).describe(Operation {
            id: "server_metadata",
            tag: "server",
            summary: "The server's name, version and extensions",
            response_body: "Server",
            ..OPERATION
        }),
        route::get("/v2/models", Access::Key, models).describe(Operation {
            id: "list_models",
            tag: "models",
            summary: "The names of the models",
            response_body: "Models",
            ..OPERATION
        }),
        route::get("/v2/models/{model}", Access::Key, model).describe(Operation {
            id: "model_metadata",
            tag: "models",
            summary: "A model's inputs and outputs",
            response_body: "Metadata",
            errors: errors::MODEL,
            ..OPERATION
        }),
        route::get("/v2/models/{model}/versions/{version}", Access::Key, model).describe(
            Operation {
                id: "version_metadata",
                tag: "models",
                summary: "A version's inputs and outputs",
                response_body: "Metadata",
                errors: errors::MODEL,
                ..OPERATION
            },
        ),
    ]
}

/// The supported protocol extensions, by their names in Triton's documentation.
const EXTENSIONS: [&str; 9] = [
    "binary_tensor_data",
    "classification",
    "generate",
    "model_configuration",
    "model_repository",
    "parameters",
    "schedule_policy",
    "sequence",
    "statistics",
];

/// `GET /v2`: name, version and extensions of the server.
async fn server() -> Response {
    json_response(&Server {
        name: "wardian",
        version: env!("CARGO_PKG_VERSION"),
        extensions: EXTENSIONS,
    })
}

/// `GET /v2/models`: names of the tenant's models, serving or not.
async fn models(State(state): State<Arc<ApiState>>, caller: Caller) -> Result<Response, ApiError> {
    let models = state.dataplane.models(caller.tenant_name()?);
    let bytes = models.iter().map(|name| name.as_str().len()).sum();
    let write = move |_: &Pacer| {
        json_response(&Models { models: models.iter().map(|name| name.as_str()).collect() })
    };

    Ok(offload::run(&state.workers, Some(caller.tenant()?), bytes, write).await?)
}

/// `GET /v2/models/{m}[/versions/{v}]`: metadata of a serving version.
async fn model(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant_name()?;
    let handle = path.find(&state, &caller)?;
    let metadata = handle.metadata();

    Ok(json_response(&Model {
        name: &path.model,
        versions: state
            .dataplane
            .versions(tenant, &path.model)
            .iter()
            .map(ToString::to_string)
            .collect(),
        platform: PLATFORM,
        inputs: metadata.inputs.iter().map(|spec| Tensor::input(spec, metadata)).collect(),
        outputs: metadata.outputs.iter().map(Tensor::new).collect(),
        properties: properties(&metadata.description, &metadata.properties),
    }))
}

#[derive(Serialize)]
struct Server {
    name: &'static str,
    version: &'static str,
    extensions: [&'static str; EXTENSIONS.len()],
}

#[derive(Serialize)]
struct Models<'a> {
    models: Vec<&'a str>,
}

#[derive(Serialize)]
struct Model<'a> {
    name: &'a str,
    versions: Vec<String>,
    platform: &'static str,
    inputs: Vec<Tensor<'a>>,
    outputs: Vec<Tensor<'a>>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    properties: BTreeMap<&'a str, String>,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    datatype: &'static str,
    shape: Cow<'a, [i64]>,
}

impl<'a> Tensor<'a> {
    fn new(spec: &'a TensorSpec) -> Self {
        Tensor {
            name: &spec.name,
            datatype: spec.datatype.name(),
            shape: Cow::Borrowed(&spec.shape),
        }
    }

    /// Describes an input. An input with one value per batch item gets a dimension of 1 for the
    /// item, as in the model configuration: Triton's clients take the item's shape from here and
    /// cannot send an item without dimensions.
    fn input(spec: &'a TensorSpec, metadata: &Metadata) -> Self {
        match spec.shape[..] {
            [batch] if metadata.max_batch_size > 0 => {
                Tensor { shape: Cow::Owned(vec![batch, 1]), ..Tensor::new(spec) }
            }
            _ => Tensor::new(spec),
        }
    }
}

/// Returns the protocol's `properties`, whose values are texts.
fn properties<'a>(
    description: &'a str,
    more: &'a [crate::model::Parameter],
) -> BTreeMap<&'a str, String> {
    let described = (!description.is_empty()).then(|| ("description", description.to_string()));
    described
        .into_iter()
        .chain(more.iter().map(|property| (property.name.as_str(), property_text(&property.value))))
        .collect()
}

fn property_text(value: &ParameterValue) -> String {
    match value {
        ParameterValue::Boolean(value) => value.to_string(),
        ParameterValue::Integer(value) => value.to_string(),
        ParameterValue::Number(value) => value.to_string(),
        ParameterValue::Text(value) => value.clone(),
    }
}

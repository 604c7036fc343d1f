//! The effective configuration of a model: the applicable fields of Triton's model configuration,
//! and the other settings under `wardian`.

mod effective_settings;

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::{Value, json};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::oip::PLATFORM;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::{Datatype, Metadata, Retention, TensorSpec, Version, VersionPolicy};
use crate::servable::Servable;
use effective_settings::effective_settings;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/models/{model}/config", Access::Key, model_config).describe(Operation {
            id: "model_config",
            tag: "models",
            summary: "What is in force for a model",
            response_body: "Config",
            errors: errors::MODEL,
            ..OPERATION
        }),
        route::get("/v2/models/{model}/versions/{version}/config", Access::Key, model_config)
            .describe(Operation {
                id: "version_config",
                tag: "models",
                summary: "What is in force for a version",
                response_body: "Config",
                errors: errors::MODEL,
                ..OPERATION
            }),
    ]
}

/// `GET /v2/models/{m}[/versions/{v}]/config`: effective configuration of a serving version.
async fn model_config(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let tenant = caller.tenant_name()?;
    let handle = path.find(&state, &caller)?;
    let versions = state.dataplane.versions(tenant, &path.model);
    let policy = state.dataplane.version_policy(tenant, &path.model);
    let retention = state.dataplane.retention(tenant, &path.model);

    let mut config = Config::new(&handle, &versions, &policy);
    config.wardian["prune"] = prune(retention);
    Ok(json_response(&config))
}

#[derive(Serialize)]
struct Config<'a> {
    name: &'a str,
    platform: &'static str,
    backend: &'static str,
    version_policy: Value,
    max_batch_size: u32,
    input: Vec<Tensor<'a>>,
    output: Vec<Tensor<'a>>,
    wardian: Value,
}

#[derive(Serialize)]
struct Tensor<'a> {
    name: &'a str,
    data_type: &'static str,
    dims: &'a [i64],
    #[serde(skip_serializing_if = "Option::is_none")]
    reshape: Option<Reshape>,
    optional: bool,
}

/// The model's shape where it differs from `dims`, which must not be empty in Triton's
/// configuration.
#[derive(Serialize)]
struct Reshape {
    shape: [i64; 0],
}

impl<'a> Config<'a> {
    fn new(servable: &'a Servable, versions: &[Version], policy: &VersionPolicy) -> Self {
        let metadata = servable.metadata();
        Config {
            name: servable.id().name.as_str(),
            platform: PLATFORM,
            backend: "wardian",
            version_policy: version_policy(policy),
            max_batch_size: metadata.max_batch_size,
            input: metadata.inputs.iter().map(|spec| Tensor::new(spec, metadata)).collect(),
            output: metadata.outputs.iter().map(|spec| Tensor::new(spec, metadata)).collect(),
            wardian: effective_settings(servable, versions),
        }
    }
}

impl<'a> Tensor<'a> {
    /// Describes a tensor. As in Triton's configuration, the dimensions exclude the batch.
    fn new(spec: &'a TensorSpec, metadata: &Metadata) -> Self {
        let batch = usize::from(metadata.max_batch_size > 0);
        let shape = spec.shape.get(batch..).unwrap_or_default();
        let (dims, reshape) =
            if shape.is_empty() { (&[1][..], Some(Reshape { shape: [] })) } else { (shape, None) };

        Tensor {
            name: &spec.name,
            data_type: data_type(spec.datatype),
            dims,
            reshape,
            optional: spec.optional,
        }
    }
}

fn version_policy(policy: &VersionPolicy) -> Value {
    match policy {
        VersionPolicy::Latest(count) => json!({ "latest": { "num_versions": count } }),
        VersionPolicy::All => json!({ "all": {} }),
        VersionPolicy::Only(versions) => {
            json!({ "specific": { "versions": version_numbers(versions) } })
        }
    }
}

/// Returns the setting `prune` as it is in force.
fn prune(retention: Option<Retention>) -> Value {
    match retention {
        None => Value::Null,
        Some(Retention::Newest(count)) => json!({ "newest": count }),
        Some(Retention::Replaced(time)) => json!({ "replaced_ms": time.as_millis() as u64 }),
    }
}

fn version_numbers(versions: &[Version]) -> Vec<u64> {
    versions.iter().map(|version| version.number()).collect()
}

/// Returns the datatype's name in Triton's model configuration.
fn data_type(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "TYPE_BOOL",
        Datatype::Uint8 => "TYPE_UINT8",
        Datatype::Uint16 => "TYPE_UINT16",
        Datatype::Uint32 => "TYPE_UINT32",
        Datatype::Uint64 => "TYPE_UINT64",
        Datatype::Int8 => "TYPE_INT8",
        Datatype::Int16 => "TYPE_INT16",
        Datatype::Int32 => "TYPE_INT32",
        Datatype::Int64 => "TYPE_INT64",
        Datatype::Fp16 => "TYPE_FP16",
        Datatype::Bf16 => "TYPE_BF16",
        Datatype::Fp32 => "TYPE_FP32",
        Datatype::Fp64 => "TYPE_FP64",
        Datatype::Bytes => "TYPE_STRING",
    }
}

//! `GET /v1/models/{m}[/versions/{v}|/labels/{l}]/metadata`: the inputs and outputs as a signature
//! of TensorFlow.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde_json::{Map, Value, json};

use super::path::LabelPath;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::json_response;
use crate::api::state::ApiState;
use crate::model::{Datatype, TensorSpec};

/// Answers with the signature of a serving version.
pub(super) async fn metadata(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: LabelPath,
) -> Result<Response, ApiError> {
    let path = path.resolve(&state, &caller)?;
    let handle = path.find(&state, &caller)?;
    let metadata = handle.metadata();

    let signature = json!({
        "inputs": tensors(&metadata.inputs),
        "outputs": tensors(&metadata.outputs),
        "method_name": "tensorflow/serving/predict",
    });
    let version = handle.id().version.to_string();

    Ok(json_response(&json!({
        "model_spec": { "name": path.model, "signature_name": "", "version": version },
        "metadata": { "signature_def": { "signature_def": { "serving_default": signature } } },
    })))
}

fn tensors(specs: &[TensorSpec]) -> Map<String, Value> {
    specs.iter().map(|spec| (spec.name.clone(), tensor(spec))).collect()
}

fn tensor(spec: &TensorSpec) -> Value {
    // As Protocol Buffers write 64-bit numbers in JSON.
    let dimension = |size: &i64| json!({ "size": size.to_string(), "name": "" });
    let dimensions: Vec<_> = spec.shape.iter().map(dimension).collect();

    json!({
        "dtype": dtype(spec.datatype),
        "tensor_shape": { "dim": dimensions, "unknown_rank": false },
        "name": spec.name,
    })
}

fn dtype(datatype: Datatype) -> &'static str {
    match datatype {
        Datatype::Bool => "DT_BOOL",
        Datatype::Uint8 => "DT_UINT8",
        Datatype::Uint16 => "DT_UINT16",
        Datatype::Uint32 => "DT_UINT32",
        Datatype::Uint64 => "DT_UINT64",
        Datatype::Int8 => "DT_INT8",
        Datatype::Int16 => "DT_INT16",
        Datatype::Int32 => "DT_INT32",
        Datatype::Int64 => "DT_INT64",
        Datatype::Fp16 => "DT_HALF",
        Datatype::Bf16 => "DT_BFLOAT16",
        Datatype::Fp32 => "DT_FLOAT",
        Datatype::Fp64 => "DT_DOUBLE",
        Datatype::Bytes => "DT_STRING",
    }
}

//! TensorFlow Serving's REST API and version 1 of KServe's protocol, below `/v1/models`.
//!
//! Both ask by `POST /v1/models/{m}:predict`. TensorFlow Serving also classifies and regresses, and
//! describes models by their status and signature. The answers of `GET /v1/models` and of `GET
//! /v1/models/{m}` have the keys that its clients, those of KServe and those of OpenAI read,
//! because the paths are the same.

mod codec;
mod models;
mod path;
mod results;
mod signature;
mod status;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::api::unary;
use codec::TensorflowCodec;
use models::{list, model};
use path::VerbPath;
use signature::metadata;
use status::version_status;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let describe = |id, summary| Operation {
        id,
        tag: "tensorflow",
        summary,
        errors: errors::MODEL,
        ..OPERATION
    };
    let inference = |id, summary| Operation {
        request_body: "TensorflowRequest",
        example: r#"{"instances": [{"measurements": [5.1, 3.5, 1.4, 0.2]}]}"#,
        response_body: "TensorflowResponse",
        errors: errors::INFERENCE,
        ..describe(id, summary)
    };
    let status = |id, summary| Operation { response_body: "ModelStatus", ..describe(id, summary) };
    let signature = |id, summary| Operation { response_body: "Signature", ..describe(id, summary) };

    vec![
        route::get("/v1/models", Access::Key, list).describe(Operation {
            response_body: "ModelList",
            errors: &[],
            error_body: "AnyError",
            ..describe("v1_list_models", "The models that serve, for clients of OpenAI and KServe")
        }),
        route::get("/v1/models/{model}", Access::Key, model).describe(Operation {
            error_body: "AnyError",
            ..status("v1_model", "A model and the states of its versions")
        }),
        route::post("/v1/models/{model}", Access::Infer, ask).describe(inference(
            "v1_ask_model",
            "Ask a model: the path ends with :predict, :classify or :regress",
        )),
        route::get("/v1/models/{model}/labels/{label}", Access::Key, version_status)
            .describe(status("v1_label", "The state of the version with a label")),
        route::post("/v1/models/{model}/labels/{label}", Access::Infer, ask).describe(inference(
            "v1_ask_label",
            "Ask the version with a label: the path ends with :predict, :classify or :regress",
        )),
        route::get("/v1/models/{model}/metadata", Access::Key, metadata)
            .describe(signature("v1_model_metadata", "A model's signature")),
        route::get("/v1/models/{model}/versions/{version}", Access::Key, version_status)
            .describe(status("v1_version", "The state of a version")),
        route::post("/v1/models/{model}/versions/{version}", Access::Infer, ask).describe(
            inference(
                "v1_ask_version",
                "Ask a version: the path ends with :predict, :classify or :regress",
            ),
        ),
        route::get("/v1/models/{model}/versions/{version}/metadata", Access::Key, metadata)
            .describe(signature("v1_version_metadata", "A version's signature")),
        route::get("/v1/models/{model}/labels/{label}/metadata", Access::Key, metadata)
            .describe(signature("v1_label_metadata", "The signature of the version with a label")),
    ]
}

/// `POST /v1/models/{m}[/versions/{v}|/labels/{l}]:{verb}`.
async fn ask(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: VerbPath,
    request: Request<Body>,
) -> Response {
    let VerbPath { named, verb } = path;
    let model = match named.resolve(&state, &caller) {
        Ok(model) => model,
        Err(error) => return error.into_response(),
    };

    let codec = |headers: &HeaderMap| TensorflowCodec::from_headers(verb, headers);
    unary::handle(&state, &context, &caller, &model, request, codec).await
}

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

use super::auth::Caller;
use super::context::RequestContext;
use super::state::ApiState;
use super::unary;
use codec::TensorflowCodec;
use path::VerbPath;

pub(super) use models::{list, model};
pub(super) use signature::metadata;
pub(super) use status::version_status;

/// `POST /v1/models/{m}[/versions/{v}|/labels/{l}]:{verb}`.
pub(super) async fn ask(
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

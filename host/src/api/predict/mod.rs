//! Predictions for tables: `POST /v2/models/{m}/predict` and `/invocations`.
//!
//! A request is one record, a list of records, CSV, or one of the JSON forms of MLflow and
//! TensorFlow Serving; the answer is `{"predictions": […]}` with one entry for each row.
//! `/invocations` reads inference requests of the Open Inference Protocol as well, and passes over
//! columns that the model does not have, because MLflow's clients send whole frames.

mod codec;
mod envelope;

#[cfg(fuzzing)]
pub(super) mod fuzzing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;

use super::auth::Caller;
use super::context::RequestContext;
use super::extract::ModelPath;
use super::state::ApiState;
use super::unary;
use codec::PredictCodec;

pub(super) use envelope::{Body as PredictBody, PredictRoute, open};

/// `POST /v2/models/{m}[/versions/{v}]/predict`.
pub(super) async fn predict(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    unary::handle(&state, &context, &caller, &path, request, PredictCodec::for_predict).await
}

/// `POST /v2/models/{m}[/versions/{v}]/invocations`.
pub(super) async fn invocations(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    invoke(&state, &context, &caller, path, request).await
}

/// Answers a request to `/invocations` for this model.
pub(super) async fn invoke(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    unary::handle(state, context, caller, &path, request, PredictCodec::for_invocations).await
}

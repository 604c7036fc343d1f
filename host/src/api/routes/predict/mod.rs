//! Predictions for tables: `POST /v2/models/{m}/predict` and `/invocations`.
//!
//! A request is one record, a list of records, CSV, or one of the JSON forms of MLflow and
//! TensorFlow Serving; the answer is `{"predictions": […]}` with one entry for each row.
//! `/invocations` reads inference requests of the Open Inference Protocol as well, and passes over
//! columns that the model does not have, because MLflow's clients send whole frames.

mod codec;
mod envelope;

#[cfg(fuzzing)]
pub(in crate::api) mod fuzzing;

#[cfg(test)]
mod tests;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::extract::ModelPath;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::api::unary;
use codec::PredictCodec;

pub(super) use envelope::{Body as PredictBody, PredictRoute, open};

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let predictions = |id, summary| Operation {
        id,
        tag: "inference",
        summary,
        request_body: "PredictRequest",
        example: r#"{"measurements": [5.1, 3.5, 1.4, 0.2]}"#,
        response_body: "Predictions",
        errors: errors::INFERENCE,
        ..OPERATION
    };
    let invocation = |id, summary| Operation {
        request_body: "Invocation",
        example: r#"{"instances": [[5.1, 3.5, 1.4, 0.2]]}"#,
        response_body: "InvocationResponse",
        ..predictions(id, summary)
    };

    vec![
        route::post("/v2/models/{model}/predict", Access::Infer, predict)
            .describe(predictions("predict", "Ask a model about the rows of a table")),
        route::post("/v2/models/{model}/versions/{version}/predict", Access::Infer, predict)
            .describe(predictions("predict_version", "Ask a version about the rows of a table")),
        route::post("/v2/models/{model}/invocations", Access::Infer, invocations)
            .describe(invocation("invoke_model", "Ask a model as MLflow's clients do")),
        route::post(
            "/v2/models/{model}/versions/{version}/invocations",
            Access::Infer,
            invocations,
        )
        .describe(invocation("invoke_version", "Ask a version as MLflow's clients do")),
    ]
}

/// `POST /v2/models/{m}[/versions/{v}]/predict`.
async fn predict(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    unary::handle(&state, &context, &caller, &path, request, PredictCodec::for_predict).await
}

/// `POST /v2/models/{m}[/versions/{v}]/invocations`.
async fn invocations(
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

//! Which handler answers which path.

use std::sync::Arc;

use axum::Extension;
use axum::Router;
use axum::body::Body;
use axum::extract::{FromRequestParts, Path, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderValue, Request};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::{Deserialize, Serialize};

use super::edge::Context;
use super::error::ApiError;
use super::infer::{self, Target};
use super::{ApiState, config, health, metadata, repository, sagemaker};
use crate::model::TenantName;
use crate::servable::ServableHandle;

/// The routes. Inference by a plain path does not come here: see `edge`.
pub(super) fn router(state: Arc<ApiState>) -> Router {
    Router::new()
        .route("/v2", get(metadata::server))
        .route("/v2/health/live", get(health::live))
        .route("/v2/health/ready", get(health::ready))
        .route("/v2/models", get(metadata::models))
        .route("/v2/models/{model}", get(metadata::model))
        .route("/v2/models/{model}/versions/{version}", get(metadata::model))
        .route("/v2/models/{model}/ready", get(health::model_ready))
        .route("/v2/models/{model}/versions/{version}/ready", get(health::model_ready))
        .route("/v2/models/{model}/config", get(config::model_config))
        .route("/v2/models/{model}/versions/{version}/config", get(config::model_config))
        .route("/v2/models/{model}/infer", post(infer_model))
        .route("/v2/models/{model}/versions/{version}/infer", post(infer_model))
        .route("/v2/repository/index", post(repository::index))
        .route("/v2/repository/models/{model}/load", post(repository::load))
        .route("/v2/repository/models/{model}/unload", post(repository::unload))
        .route("/v2/repository/{repository}/index", post(repository::named))
        .route("/v2/repository/{repository}/models/{model}/load", post(repository::named))
        .route("/v2/repository/{repository}/models/{model}/unload", post(repository::named))
        .route("/invocations", post(sagemaker::invocations))
        .route("/ping", get(health::ping))
        .route("/metrics", get(metrics))
        .fallback(async || ApiError::no_such_path())
        .with_state(state)
}

/// The model, and perhaps the version, that a path names.
#[derive(Deserialize)]
pub(super) struct ModelPath {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

impl ModelPath {
    /// The version that serves under this path. Fails with the error that inference would meet.
    pub(super) fn find(&self, state: &ApiState, tenant: &TenantName) -> Result<ServableHandle, ApiError> {
        let version = self.version.as_deref();
        let found = state.dataplane.find(tenant, &self.model, version);
        found.map_err(|error| ApiError::from(error).about(&self.model, version))
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ModelPath {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        // Only a path that is not UTF-8 when decoded fails here.
        Path::from_request_parts(parts, state).await.map(|Path(path)| path).map_err(|_| ApiError::no_such_path())
    }
}

/// A JSON response.
pub(super) fn json_response(value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(body) => ([(CONTENT_TYPE, HeaderValue::from_static("application/json"))], body).into_response(),
        Err(fault) => ApiError::from(crate::model::InferError::Internal(fault.to_string())).into_response(),
    }
}

async fn infer_model(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<Context>,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    let target = Target { model: path.model, version: path.version };
    infer::respond(&state, &context, target, request).await
}

async fn metrics(State(state): State<Arc<ApiState>>) -> Response {
    const OPEN_METRICS: HeaderValue =
        HeaderValue::from_static("application/openmetrics-text; version=1.0.0; charset=utf-8");
    ([(CONTENT_TYPE, OPEN_METRICS)], state.telemetry.render()).into_response()
}

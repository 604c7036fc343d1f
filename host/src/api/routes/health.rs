//! Liveness and readiness of the server and its models.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header::RETRY_AFTER;
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::openapi::errors;
use crate::api::state::ApiState;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/health/live", Access::Open, live).describe(Operation {
            id: "server_live",
            tag: "server",
            summary: "Whether it runs",
            response_body: "Live",
            ..OPERATION
        }),
        route::get("/v2/health/ready", Access::Open, ready).describe(Operation {
            id: "server_ready",
            tag: "server",
            summary: "Whether every wanted model has been tried",
            response_body: "Ready",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        route::get("/ping", Access::Open, ping).describe(Operation {
            id: "ping",
            tag: "server",
            summary: "Whether it can serve, as SageMaker asks",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        route::get("/health", Access::Open, ping).describe(Operation {
            id: "health",
            tag: "server",
            summary: "Whether it can serve, as MLflow asks",
            statuses: &["200", "503"],
            ..OPERATION
        }),
        route::get("/version", Access::Open, version).describe(Operation {
            id: "version",
            tag: "server",
            summary: "The server's version, as MLflow asks",
            response_body: "text/plain",
            ..OPERATION
        }),
        route::get("/v2/models/{model}/ready", Access::Key, model_ready).describe(Operation {
            id: "model_ready",
            tag: "models",
            summary: "Whether a model serves",
            response_body: "ModelReady",
            errors: errors::MODEL,
            ..OPERATION
        }),
        route::get("/v2/models/{model}/versions/{version}/ready", Access::Key, model_ready)
            .describe(Operation {
                id: "version_ready",
                tag: "models",
                summary: "Whether a version serves",
                response_body: "ModelReady",
                errors: errors::MODEL,
                ..OPERATION
            }),
    ]
}

/// `GET /v2/health/live`: 200 while the process answers.
async fn live() -> Response {
    json_response(&Live { live: true })
}

/// `GET /v2/health/ready`: 200 once every wanted model has been tried or `ready_timeout` has
/// passed, until the server stops. The body also reports an unreadable repository of the caller's
/// tenant, and interceptors that block all of its calls. Neither affects the status.
async fn ready(State(state): State<Arc<ApiState>>, caller: Result<Caller, ApiError>) -> Response {
    let ready = state.dataplane.is_ready();
    let caller = caller.ok();
    let tenant = caller.as_ref().and_then(Caller::optional_tenant);
    let degraded = tenant
        .and_then(|tenant| state.manager.degraded(tenant.name()))
        .map(|degraded| degraded.reason);
    let shut = tenant.and_then(|tenant| state.manager.blocked_reason(tenant.name()));
    let response = json_response(&Ready { ready, degraded, shut });

    if ready { response } else { with_unavailable_status(response) }
}

/// `GET /version`: the server's version as text, for MLflow's clients.
async fn version() -> &'static str {
    env!("CARGO_PKG_VERSION")
}

/// `GET /ping` and `GET /health`: the readiness check of SageMaker and MLflow, with an empty body.
async fn ping(State(state): State<Arc<ApiState>>) -> Response {
    if state.dataplane.is_ready() {
        StatusCode::OK.into_response()
    } else {
        with_unavailable_status(().into_response())
    }
}

/// `GET /v2/models/{m}[/versions/{v}]/ready`: 200, or the error that inference would return.
async fn model_ready(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let in_service = path.find(&state, &caller)?.check_available();
    in_service
        .map_err(|error| ApiError::from(error).with_model(&path.model, path.version.as_deref()))?;
    Ok(json_response(&ModelReady { name: &path.model, ready: true }))
}

#[derive(Serialize)]
struct Live {
    live: bool,
}

#[derive(Serialize)]
struct Ready {
    ready: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    degraded: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    shut: Option<String>,
}

#[derive(Serialize)]
struct ModelReady<'a> {
    name: &'a str,
    ready: bool,
}

fn with_unavailable_status(mut response: Response) -> Response {
    *response.status_mut() = StatusCode::SERVICE_UNAVAILABLE;
    response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

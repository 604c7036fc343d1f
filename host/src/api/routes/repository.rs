//! The model repository extension: index, refresh, load and unload.
//!
//! Specified in Triton's `protocol/extension_model_repository.md`. Load requests carry no files or
//! settings: models come only from the repository. Uploads are in `upload`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;
use serde_json::{Value, json};

use super::repository_body;
use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::offload;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::lifecycle::{IndexEntry, IndexState};
use crate::model::{InferError, ModelName, RuntimeInfo};
use crate::tenant::Pacer;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    own_endpoints().into_iter().chain(named_endpoints()).collect()
}

/// Endpoints of the tenant's own repository.
fn own_endpoints() -> [Endpoint; 4] {
    [
        route::post("/v2/repository/index", Access::Key, index).describe(Operation {
            id: "repository_index",
            tag: "repository",
            summary: "Every version with its state and reason",
            request_body: "IndexRequest",
            example: r#"{"ready": true}"#,
            response_body: "Index",
            ..OPERATION
        }),
        route::post("/v2/repository/refresh", Access::Manage, refresh).describe(Operation {
            id: "repository_refresh",
            tag: "repository",
            summary: "Look at the repository now",
            request_body: "LoadRequest",
            example: "{}",
            errors: errors::REFRESH,
            ..OPERATION
        }),
        route::post("/v2/repository/models/{model}/load", Access::Manage, load).describe(
            Operation {
                id: "load_model",
                tag: "repository",
                summary: "Load a model, or try again what failed",
                request_body: "LoadRequest",
                example: "{}",
                errors: errors::LOAD,
                ..OPERATION
            },
        ),
        route::post("/v2/repository/models/{model}/unload", Access::Manage, unload).describe(
            Operation {
                id: "unload_model",
                tag: "repository",
                summary: "Let a model drain and stay unloaded",
                request_body: "UnloadRequest",
                example: "{}",
                errors: errors::UNLOAD,
                ..OPERATION
            },
        ),
    ]
}

/// Endpoints of repositories with names, which Wardian does not have.
fn named_endpoints() -> [Endpoint; 3] {
    const REFUSED: Operation = Operation {
        tag: "repository",
        summary: "Refused: repositories have no names here",
        response_body: "Error",
        statuses: &["501"],
        ..OPERATION
    };
    const LOAD: &str = "/v2/repository/{repository}/models/{model}/load";
    const UNLOAD: &str = "/v2/repository/{repository}/models/{model}/unload";

    [
        route::post("/v2/repository/{repository}/index", Access::Key, named_repository)
            .describe(Operation { id: "named_repository_index", ..REFUSED }),
        route::post(LOAD, Access::Manage, named_repository)
            .describe(Operation { id: "named_repository_load", ..REFUSED }),
        route::post(UNLOAD, Access::Manage, named_repository)
            .describe(Operation { id: "named_repository_unload", ..REFUSED }),
    ]
}

/// Approximate size of an index entry without its reason, in bytes.
const BYTES_PER_ENTRY: usize = 128;

/// `POST /v2/repository/index`: all versions in the tenant's repository; with `{"ready": true}` the
/// serving ones.
async fn index(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let only_ready = repository_body::read_index_request(&headers, body).await?;
    let entries = state.manager.index(caller.tenant_name()?).await;
    let bytes = entries.iter().map(|entry| BYTES_PER_ENTRY + entry.reason.len()).sum();

    let write = move |_: &Pacer| {
        let shown =
            entries.iter().filter(|entry| !only_ready || matches!(entry.state, IndexState::Ready));
        json_response(&shown.map(Entry::new).collect::<Vec<_>>())
    };

    Ok(offload::run(&state.workers, Some(caller.tenant()?), bytes, write).await?)
}

/// `POST /v2/repository/refresh`: scans the tenant's repository and answers after the scan. Loading
/// new versions may take longer; the index shows their state.
async fn refresh(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::read_load_request(&headers, body).await?;
    state.manager.refresh(caller.tenant_name()?).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/models/{m}/load`: answers once the model has been loaded or has failed.
async fn load(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::read_load_request(&headers, body).await?;

    let tenant = caller.tenant_name()?;
    let about =
        |error: ApiError| error.with_model_hints(&state.dataplane, tenant, &path.model, None);
    let name = parse_name(&path).map_err(about)?;

    state.manager.load(tenant, &name).await.map_err(|error| about(error.into()))?;

    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/models/{m}/unload`: unloading a model that is not loaded succeeds.
async fn unload(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::read_unload_request(&headers, body).await?;

    let tenant = caller.tenant_name()?;
    let about =
        |error: ApiError| error.with_model_hints(&state.dataplane, tenant, &path.model, None);
    let name = parse_name(&path).map_err(about)?;

    if name.is_interceptor() {
        let text = "calls pass no interceptor that lies in the repository and does not serve; to do without it, \
                    remove its file";
        return Err(about(InferError::InvalidInput(text.into()).into()));
    }

    state.manager.unload(tenant, &name).await.map_err(|error| about(error.into()))?;

    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/{repository}/…`: unsupported, because a tenant has a single, unnamed
/// repository.
async fn named_repository() -> ApiError {
    ApiError::unsupported("this server does not name repositories; leave the name out of the path")
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    state: &'static str,
    reason: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    runtime: Option<Value>,
}

impl<'a> Entry<'a> {
    fn new(entry: &'a IndexEntry) -> Self {
        Entry {
            name: entry.name.as_str(),
            version: entry.version.map(|version| version.to_string()),
            state: state_name(entry.state),
            reason: &entry.reason,
            runtime: entry.runtime.as_ref().map(runtime_json),
        }
    }
}

/// Describes the runtime of a version.
pub(super) fn runtime_json(runtime: &RuntimeInfo) -> Value {
    let RuntimeInfo { name, digest, format, model_file } = runtime;
    json!({"name": name, "digest": digest.to_string(), "format": format, "model_file": model_file})
}

/// Returns the protocol's name of a state.
pub(super) fn state_name(state: IndexState) -> &'static str {
    match state {
        IndexState::Ready => "READY",
        IndexState::Loading => "LOADING",
        IndexState::Unloading => "UNLOADING",
        IndexState::Unavailable => "UNAVAILABLE",
    }
}

/// Parses the name of a model or an interceptor. An invalid name does not exist.
fn parse_name(path: &ModelPath) -> Result<ModelName, ApiError> {
    ModelName::parse(&path.model).map_err(|_| InferError::ModelNotFound.into())
}

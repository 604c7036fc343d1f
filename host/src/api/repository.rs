//! The model repository extension: what there is, and loading and unloading it.
//!
//! Triton's `protocol/extension_model_repository.md`. Loading takes no files or settings over the
//! network: a model comes from its repository, or not at all. How one gets there over the network
//! is in `upload`.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::caller::Caller;
use super::error::ApiError;
use super::infer::offload;
use super::router::{ModelPath, json_response};
use super::{ApiState, repository_body};
use crate::lifecycle::{IndexEntry, IndexState};
use crate::model::{InferError, ModelName};
use crate::tenant::Pace;

/// About how many bytes an entry of the index has without its reason.
const ENTRY: usize = 128;

/// `POST /v2/repository/index`: everything in the caller's repository, or with `{"ready": true}`
/// what serves.
pub(super) async fn index(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let only_ready = repository_body::only_ready(&headers, body).await?;
    let entries = state.manager.index(caller.tenant_name()?).await;
    let bytes = entries.iter().map(|entry| ENTRY + entry.reason.len()).sum();
    let write = move |_: &Pace| {
        let shown =
            entries.iter().filter(|entry| !only_ready || matches!(entry.state, IndexState::Ready));
        json_response(&shown.map(Entry::of).collect::<Vec<_>>())
    };
    Ok(offload::run(&state.workers, Some(caller.tenant()?), bytes, write).await?)
}

/// `POST /v2/repository/refresh`: looks at the caller's repository now, and answers once what it
/// holds is known. Loading what is new may take longer; the index tells.
pub(super) async fn refresh(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::nothing(&headers, body).await?;
    state.manager.refresh(caller.tenant_name()?).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/models/{m}/load`: answers once the model has loaded or failed.
pub(super) async fn load(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::nothing(&headers, body).await?;
    let tenant = caller.tenant_name()?;
    let about = |error: ApiError| error.about_model(&state.dataplane, tenant, &path.model, None);
    let name = known_name(&path).map_err(about)?;
    state.manager.load(tenant, &name).await.map_err(|error| about(error.into()))?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/models/{m}/unload`: a model that is not loaded is no error.
pub(super) async fn unload(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    repository_body::unloading(&headers, body).await?;
    let tenant = caller.tenant_name()?;
    let about = |error: ApiError| error.about_model(&state.dataplane, tenant, &path.model, None);
    let name = known_name(&path).map_err(about)?;
    if name.is_interceptor() {
        let text = "calls pass no interceptor that lies in the repository and does not serve; to do without it, \
                    remove its file";
        return Err(about(InferError::InvalidInput(text.into()).into()));
    }
    state.manager.unload(tenant, &name).await.map_err(|error| about(error.into()))?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/{repository}/…`: a tenant has one repository, and it has no name.
pub(super) async fn named() -> ApiError {
    ApiError::unsupported("this server does not name repositories; leave the name out of the path")
}

#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    version: Option<String>,
    state: &'static str,
    reason: &'a str,
}

impl<'a> Entry<'a> {
    fn of(entry: &'a IndexEntry) -> Self {
        Entry {
            name: entry.name.as_str(),
            version: entry.version.map(|version| version.to_string()),
            state: state_name(entry.state),
            reason: &entry.reason,
        }
    }
}

/// What the protocol calls a state.
pub(super) fn state_name(state: IndexState) -> &'static str {
    match state {
        IndexState::Ready => "READY",
        IndexState::Loading => "LOADING",
        IndexState::Unloading => "UNLOADING",
        IndexState::Unavailable => "UNAVAILABLE",
    }
}

/// A name that cannot be a model's or an interceptor's is the name of neither.
fn known_name(path: &ModelPath) -> Result<ModelName, ApiError> {
    ModelName::of_any(&path.model).map_err(|_| InferError::ModelNotFound.into())
}

//! The model repository extension: what there is, and loading and unloading it.
//!
//! Triton's `protocol/extension_model_repository.md`. Loading takes no files or settings over the network:
//! a model comes from its repository, or not at all. How one gets there over the network is in `upload`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::body::{Body, to_bytes};
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::de::IgnoredAny;
use serde::{Deserialize, Serialize};

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::router::{ModelPath, json_response};
use crate::lifecycle::{IndexEntry, IndexState};
use crate::model::{InferError, ModelName};

/// More than any body these commands take.
const MAX_BODY: usize = 64 << 10;

/// `POST /v2/repository/index`: everything in the caller's repository, or with `{"ready": true}` what serves.
pub(super) async fn index(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    body: Body,
) -> Result<Response, ApiError> {
    let filter: IndexBody = read(body).await?;
    let entries = state.manager.index(caller.tenant_name()?).await;
    let shown = entries.iter().filter(|entry| !filter.ready || matches!(entry.state, IndexState::Ready));
    Ok(json_response(&shown.map(Entry::of).collect::<Vec<_>>()))
}

/// `POST /v2/repository/refresh`: looks at the caller's repository now, and answers once what it holds is known.
/// Loading what is new may take longer; the index tells.
pub(super) async fn refresh(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_overrides(&read::<CommandBody>(body).await?)?;
    state.manager.refresh(caller.tenant_name()?).await?;
    Ok(StatusCode::OK.into_response())
}

/// `POST /v2/repository/models/{m}/load`: answers once the model has loaded or failed.
pub(super) async fn load(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    body: Body,
) -> Result<Response, ApiError> {
    refuse_overrides(&read::<CommandBody>(body).await?)?;
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
    body: Body,
) -> Result<Response, ApiError> {
    // Its one parameter is `unload_dependents`; no model here depends on another.
    read::<CommandBody>(body).await?;
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

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct IndexBody {
    ready: bool,
}

#[derive(Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct CommandBody {
    parameters: BTreeMap<String, IgnoredAny>,
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

/// Reads a JSON body; an empty one means the defaults.
async fn read<T: Default + for<'a> Deserialize<'a>>(body: Body) -> Result<T, ApiError> {
    let too_large = |_| ApiError::from(InferError::RequestTooLarge { limit: MAX_BODY as u64 });
    let bytes = to_bytes(body, MAX_BODY).await.map_err(too_large)?;
    if bytes.trim_ascii().is_empty() {
        return Ok(T::default());
    }
    let malformed = |fault: serde_json::Error| ApiError::from(InferError::InvalidInput(fault.to_string()));
    serde_json::from_slice(&bytes).map_err(malformed)
}

fn refuse_overrides(body: &CommandBody) -> Result<(), ApiError> {
    let Some(name) = body.parameters.keys().next() else { return Ok(()) };
    let text = if name == "config" || name.starts_with("file:") {
        format!(
            "'{}' is refused: models and their settings are loaded from the repository only",
            super::json::shorten(name)
        )
    } else {
        format!("there is no parameter '{}' to load", super::json::shorten(name))
    };
    Err(InferError::InvalidInput(text).into())
}

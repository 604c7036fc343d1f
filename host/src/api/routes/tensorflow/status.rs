//! The states of versions, as TensorFlow Serving names them.

use std::sync::Arc;

use axum::extract::State;
use axum::response::Response;
use serde::Serialize;
use serde_json::json;

use super::path::LabelPath;
use crate::api::auth::Caller;
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::state::ApiState;
use crate::lifecycle::{IndexEntry, IndexState};
use crate::model::{InferError, Version};

/// The state of one version.
#[derive(Serialize)]
pub(super) struct VersionStatus {
    version: String,
    state: &'static str,
    status: Status,
}

#[derive(Serialize)]
struct Status {
    error_code: &'static str,
    error_message: String,
}

impl VersionStatus {
    fn new(version: Version, entry: &IndexEntry) -> Self {
        let (state, error_code) = match entry.state {
            IndexState::Ready => ("AVAILABLE", "OK"),
            IndexState::Loading => ("LOADING", "OK"),
            IndexState::Unloading => ("UNLOADING", "OK"),
            IndexState::Unavailable => ("END", "UNAVAILABLE"),
        };
        // The reason of a version that serves is no error.
        let error_message = if error_code == "OK" { String::new() } else { entry.reason.clone() };

        VersionStatus {
            version: version.to_string(),
            state,
            status: Status { error_code, error_message },
        }
    }

    /// True if the version serves.
    pub(super) fn is_available(&self) -> bool {
        self.state == "AVAILABLE"
    }
}

/// Returns the states of a model's versions, newest first. Fails if the tenant has no such model.
pub(super) async fn statuses(
    state: &ApiState,
    caller: &Caller,
    path: &ModelPath,
) -> Result<Vec<VersionStatus>, ApiError> {
    let tenant = caller.tenant_name()?;
    let entries = state.manager.index(tenant).await;

    let wanted = path.version.as_deref();
    let mut statuses: Vec<_> = entries
        .iter()
        .filter(|entry| entry.name.as_str() == path.model)
        .filter_map(|entry| Some((entry.version?, entry)))
        .filter(|(version, _)| wanted.is_none_or(|wanted| version.to_string() == wanted))
        .collect();
    statuses.sort_by(|(one, _), (other, _)| other.cmp(one));

    if statuses.is_empty() {
        let error = ApiError::from(InferError::ModelNotFound);
        return Err(error.with_model_hints(&state.dataplane, tenant, &path.model, wanted));
    }

    Ok(statuses.into_iter().map(|(version, entry)| VersionStatus::new(version, entry)).collect())
}

/// `GET /v1/models/{m}/versions/{v}` and `…/labels/{l}`.
pub(super) async fn version_status(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: LabelPath,
) -> Result<Response, ApiError> {
    let path = path.resolve(&state, &caller)?;
    let statuses = statuses(&state, &caller, &path).await?;
    Ok(json_response(&json!({ "model_version_status": statuses })))
}

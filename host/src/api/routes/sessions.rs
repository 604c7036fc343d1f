//! Sessions of a model: list and delete.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::query_parameters::QueryParameters;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::{InferError, ModelName};
use crate::servable::ModelSessions;
use crate::store::{sessions, unix_millis};

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/models/{model}/sessions", Access::Manage, list).describe(Operation {
            id: "list_sessions",
            tag: "tenant",
            summary: "The sessions that are kept for a model",
            query: &["cursor", "limit"],
            response_body: "Sessions",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::delete("/v2/models/{model}/sessions/{session}", Access::Manage, delete).describe(
            Operation {
                id: "delete_session",
                tag: "tenant",
                summary: "Forget a session, once no request uses it",
                errors: errors::SESSION,
                ..OPERATION
            },
        ),
    ]
}

/// Time to wait for a session that is in use. Cancelling its tasks frees it sooner.
const REMOVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Path parameters: a model and one of its sessions.
#[derive(Deserialize)]
pub(super) struct SessionPath {
    model: String,
    session: String,
}

/// `GET /v2/models/{m}/sessions[?cursor=id&limit=n]`: stored sessions by id. The model need not
/// serve.
async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    query: QueryParameters,
) -> Result<Response, ApiError> {
    let cursor = query.text("cursor")?.unwrap_or_default();
    let limit = query.page_size()?;
    let sessions_of_model = model_sessions(&state, &caller, &path.model)?;
    let model = sessions_of_model.model().clone();

    let listed = sessions_of_model
        .store()
        .list_sessions(model, cursor, limit)
        .await
        .map_err(|error| error.into_infer_error(sessions_of_model.tenant()))?;

    let cursor = (listed.len() == limit as usize)
        .then(|| listed.last().map(|session| session.id.clone()))
        .flatten();

    Ok(json_response(
        &json!({ "sessions": listed.iter().map(session_json).collect::<Vec<_>>(), "cursor": cursor }),
    ))
}

/// `DELETE /v2/models/{m}/sessions/{id}`: waits until the session is unused, then deletes it.
async fn delete(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: Result<Path<SessionPath>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(path) = path.map_err(|_| ApiError::no_such_path(""))?;
    let sessions_of_model = model_sessions(&state, &caller, &path.model)?;

    let in_use = || {
        let text = format!(
            "the session was in use for {} s; cancel its tasks, or try again later",
            REMOVE_TIMEOUT.as_secs()
        );
        ApiError::new(StatusCode::CONFLICT, "session_in_use", text)
    };

    let removed = tokio::time::timeout(REMOVE_TIMEOUT, sessions_of_model.remove(&path.session))
        .await
        .map_err(|_| in_use())??;

    if removed {
        return Ok(StatusCode::OK.into_response());
    }

    let text = format!("there is no session '{}'", crate::api::json::shorten(&path.session));

    Err(ApiError::new(StatusCode::NOT_FOUND, "session_not_found", text)
        .with_model(&path.model, None))
}

/// Returns the sessions of a model in the tenant's repository. Fails if there is no such model.
fn model_sessions(
    state: &ApiState,
    caller: &Caller,
    model: &str,
) -> Result<Arc<ModelSessions>, ApiError> {
    let tenant = caller.tenant()?;

    let unknown = || {
        ApiError::from(InferError::ModelNotFound).with_model_hints(
            &state.dataplane,
            tenant.name(),
            model,
            None,
        )
    };

    let known = ModelName::new(model)
        .ok()
        .filter(|name| state.dataplane.models(tenant.name()).contains(name));

    Ok(state.deferred.sessions(tenant, &known.ok_or_else(unknown)?))
}

fn session_json(session: &sessions::SessionInfo) -> Value {
    let now = unix_millis();

    json!({
        "id": session.id,
        "size": session.size,
        "version": session.version.to_string(),
        "age_ms": now.saturating_sub(session.began),
        "idle_ms": now.saturating_sub(session.used),
        "expires_in_ms": session.expires.saturating_sub(now),
    })
}

//! Sessions of a model: list and delete.

use std::sync::Arc;
use std::time::Duration;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::ApiState;
use super::caller::Caller;
use super::error::ApiError;
use super::query::QueryParameters;
use super::router::{ModelPath, json_response};
use super::tasks::{MAX_PAGE, PAGE};
use crate::model::{InferError, ModelName};
use crate::servable::ModelSequences;
use crate::store::{sessions, since_1970};

/// Time to wait for a session that is in use. Cancelling its tasks frees it sooner.
const PATIENCE: Duration = Duration::from_secs(10);

/// Path parameters: a model and one of its sessions.
#[derive(Deserialize)]
pub(super) struct SessionPath {
    model: String,
    session: String,
}

/// `GET /v2/models/{m}/sessions[?cursor=id&limit=n]`: stored sessions by id. The model need not
/// serve.
pub(super) async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    query: QueryParameters,
) -> Result<Response, ApiError> {
    let cursor = query.text("cursor")?.unwrap_or_default();
    let limit = query.number("limit")?.unwrap_or(PAGE).clamp(1, MAX_PAGE);
    let sequences = of(&state, &caller, &path.model)?;
    let model = sequences.model().clone();
    let list = move |connection: &_| sessions::list(connection, model.as_str(), &cursor, limit);

    let listed = sequences
        .store()
        .read(list)
        .await
        .map_err(|error| error.for_request(sequences.tenant()))?;

    let cursor = (listed.len() == limit as usize)
        .then(|| listed.last().map(|session| session.id.clone()))
        .flatten();

    Ok(json_response(
        &json!({ "sessions": listed.iter().map(shown).collect::<Vec<_>>(), "cursor": cursor }),
    ))
}

/// `DELETE /v2/models/{m}/sessions/{id}`: waits until the session is unused, then deletes it.
pub(super) async fn delete(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: Result<Path<SessionPath>, PathRejection>,
) -> Result<Response, ApiError> {
    let Path(path) = path.map_err(|_| ApiError::no_such_path(""))?;
    let sequences = of(&state, &caller, &path.model)?;

    let in_use = || {
        let text = format!(
            "the session was in use for {} s; cancel its tasks, or try again later",
            PATIENCE.as_secs()
        );
        ApiError::new(StatusCode::CONFLICT, "session_in_use", text)
    };

    let removed = tokio::time::timeout(PATIENCE, sequences.remove(&path.session))
        .await
        .map_err(|_| in_use())??;

    if removed {
        return Ok(StatusCode::OK.into_response());
    }

    let text = format!("there is no session '{}'", super::json::shorten(&path.session));

    Err(ApiError::new(StatusCode::NOT_FOUND, "session_not_found", text).about(&path.model, None))
}

/// Returns the sessions of a model in the tenant's repository. Fails if there is no such model.
fn of(state: &ApiState, caller: &Caller, model: &str) -> Result<Arc<ModelSequences>, ApiError> {
    let tenant = caller.tenant()?;

    let unknown = || {
        ApiError::from(InferError::ModelNotFound).about_model(
            &state.dataplane,
            tenant.name(),
            model,
            None,
        )
    };

    let known = ModelName::new(model)
        .ok()
        .filter(|name| state.dataplane.models(tenant.name()).contains(name));

    Ok(state.deferred.sequences(tenant, &known.ok_or_else(unknown)?))
}

fn shown(session: &sessions::Listed) -> Value {
    let ([began, used, expires], now) = (session.times, since_1970());
    json!({
        "id": session.id,
        "size": session.size,
        "version": session.version.to_string(),
        "age_ms": now.saturating_sub(began),
        "idle_ms": now.saturating_sub(used),
        "expires_in_ms": expires.saturating_sub(now),
    })
}

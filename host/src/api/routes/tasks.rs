//! Deferred tasks of a tenant: list, show and cancel.

use std::sync::Arc;

use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::json_response;
use crate::api::http::query_parameters::QueryParameters;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::deferred::Task;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::get("/v2/tasks", Access::Manage, list).describe(Operation {
            id: "list_tasks",
            tag: "tenant",
            summary: "Deferred tasks that wait, run or were given up",
            query: &["cursor", "limit"],
            response_body: "Tasks",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::get("/v2/tasks/{task}", Access::Manage, get).describe(Operation {
            id: "get_task",
            tag: "tenant",
            summary: "One deferred task",
            response_body: "Task",
            errors: errors::STORE,
            ..OPERATION
        }),
        route::delete("/v2/tasks/{task}", Access::Manage, cancel).describe(Operation {
            id: "cancel_task",
            tag: "tenant",
            summary: "Cancel a task: it is removed, and stopped if it runs",
            errors: errors::STORE,
            ..OPERATION
        }),
    ]
}

type TaskPath = Result<Path<String>, PathRejection>;

/// `GET /v2/tasks[?cursor=id&limit=n]`: waiting, running and failed tasks, oldest first.
async fn list(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    query: QueryParameters,
) -> Result<Response, ApiError> {
    let limit = query.page_size()?;
    let cursor = query.number("cursor")?.unwrap_or(0);
    let tasks = state.deferred.list(caller.tenant()?, cursor, limit).await?;
    let cursor = (tasks.len() == limit as usize)
        .then(|| tasks.last().map(|task| task.kept.id.to_string()))
        .flatten();

    Ok(json_response(
        &json!({ "tasks": tasks.iter().map(task_json).collect::<Vec<_>>(), "cursor": cursor }),
    ))
}

/// `GET /v2/tasks/{id}`: one task.
async fn get(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: TaskPath,
) -> Result<Response, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::no_such_path(""))?;
    let task = match id.parse() {
        Ok(number) => state.deferred.get(caller.tenant()?, number).await?,
        Err(_) => None,
    };

    Ok(json_response(&task_json(&task.ok_or_else(|| no_such_task(&id))?)))
}

/// `DELETE /v2/tasks/{id}`: removes a waiting or failed task, stops a running one.
async fn cancel(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: TaskPath,
) -> Result<Response, ApiError> {
    let Path(id) = path.map_err(|_| ApiError::no_such_path(""))?;
    let found = match id.parse() {
        Ok(number) => state.deferred.cancel(caller.tenant()?, number).await?,
        Err(_) => false,
    };

    if found { Ok(StatusCode::OK.into_response()) } else { Err(no_such_task(&id)) }
}

fn no_such_task(id: &str) -> ApiError {
    let id = crate::api::json::shorten(id);
    ApiError::new(StatusCode::NOT_FOUND, "task_not_found", format!("there is no task '{id}'"))
}

fn task_json(Task { kept, running }: &Task) -> Value {
    let state = match kept.failed {
        Some(_) => "failed",
        None if *running => "running",
        None => "waiting",
    };

    json!({
        "id": kept.id.to_string(),
        "model": kept.model,
        "version": kept.version.to_string(),
        "session": kept.session,
        "request_id": kept.request,
        "name": kept.name,
        "size": kept.size,
        "state": state,
        "tries": kept.tries,
        "deferred_ms": kept.deferred,
        "next_try_ms": (state == "waiting").then_some(kept.due),
        "failed_ms": kept.failed,
        "error": kept.error,
    })
}

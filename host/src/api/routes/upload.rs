//! Upload and deletion of versions over HTTP.

use std::sync::Arc;
use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::repository::state_name;
use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::error::ApiError;
use crate::api::extract::{ModelPath, json_response};
use crate::api::http::body::next_chunk;
use crate::api::http::{content_digest, offload};
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::lifecycle::{CommandError, IndexEntry, PublishError, Published};
use crate::model::InferError;
use crate::repository::upload::{
    Announced, PutOutcome, ReceivedUpload, Upload, UploadError, UploadTarget,
};
use crate::tenant::{Pacer, Tenant, Workers};

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::put("/v2/repository/models/{model}/versions/{version}", Access::Manage, put)
            .describe(Operation {
                id: "upload_version",
                tag: "repository",
                summary: "Upload a version",
                request_body: "Component",
                response_body: "Uploaded",
                statuses: &["200", "201"],
                errors: errors::UPLOAD,
                ..OPERATION
            }),
        route::delete("/v2/repository/models/{model}/versions/{version}", Access::Manage, delete)
            .describe(Operation {
                id: "delete_version",
                tag: "repository",
                summary: "Remove a version",
                response_body: "Uploaded",
                errors: errors::REMOVE,
                ..OPERATION
            }),
    ]
}

/// Time after which a client that sends nothing is considered gone.
const IDLE_TIMEOUT: Duration = Duration::from_secs(30);

/// Time limit of an upload. Enough for the largest component over a slow line; a slower client must
/// not occupy a slot.
const TOTAL_TIMEOUT: Duration = Duration::from_secs(3600);

/// `PUT /v2/repository/models/{m}/versions/{v}`: uploads a version. The body is a component, a
/// model file, or a tar archive of the version's folder, plain or gzipped.
async fn put(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    let published = publish(&state, &caller, &path, &headers, body)
        .await
        .map_err(|error| with_model(error, &path))?;
    let status =
        if published.put == Some(PutOutcome::New) { StatusCode::CREATED } else { StatusCode::OK };
    let Published { digest, entry, .. } = published;
    let (at, reason) = match &entry {
        Some(IndexEntry { state, reason, .. }) => (state_name(*state), reason.as_str()),
        None => ("UNAVAILABLE", "it is no longer in the repository"),
    };

    let response = json!({
        "name": path.model,
        "version": path.version,
        "digest": digest.to_string(),
        "state": at,
        "reason": reason,
    });

    Ok((status, json_response(&response)).into_response())
}

/// `DELETE /v2/repository/models/{m}/versions/{v}`: deletes a version. Answers after a scan without
/// the version; the response states whether the version still serves.
async fn delete(
    State(state): State<Arc<ApiState>>,
    caller: Caller,
    path: ModelPath,
) -> Result<Response, ApiError> {
    let target = upload_target(&path)?;
    let removed = state.manager.remove(caller.tenant_name()?, target).await;
    let entry = removed.map_err(|error| with_model(error.into(), &path))?;
    let (at, reason) = match &entry {
        Some(IndexEntry { state, reason, .. }) => (state_name(*state), reason.as_str()),
        None => ("UNAVAILABLE", "deleted"),
    };

    Ok(json_response(
        &json!({ "name": path.model, "version": path.version, "state": at, "reason": reason }),
    ))
}

async fn publish(
    state: &ApiState,
    caller: &Caller,
    path: &ModelPath,
    headers: &HeaderMap,
    body: Body,
) -> Result<Published, ApiError> {
    let expected = content_digest::expected_digest(headers)?;
    let announced = Announced { size: body.size_hint().lower(), is_archive: is_archive(headers) };
    let upload =
        state.manager.begin_upload(caller.tenant()?, upload_target(path)?, announced).await?;
    let receiving = receive(&state.workers, caller.tenant()?, upload, body, IDLE_TIMEOUT);
    let received = tokio::time::timeout(TOTAL_TIMEOUT, receiving).await;
    let received = received.unwrap_or_else(|_| Err(timed_out(TOTAL_TIMEOUT)))?;

    content_digest::check_digest(expected, received.digest())?;

    Ok(state.manager.publish(received).await?)
}

/// Returns true if the request says that its body is an archive. A body without a type is
/// recognised by its content, once it arrives.
fn is_archive(headers: &HeaderMap) -> bool {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let essence = content_type.unwrap_or_default().split(';').next().unwrap_or_default();
    let archives = ["application/x-tar", "application/gzip", "application/x-gzip"];
    archives.iter().any(|archive| essence.trim().eq_ignore_ascii_case(archive))
}

async fn receive(
    workers: &Workers,
    tenant: &Tenant,
    mut upload: Upload,
    mut body: Body,
    idle: Duration,
) -> Result<ReceivedUpload, ApiError> {
    // Writing may block on the disk, so it always runs on worker threads.
    while let Some(chunk) = next_chunk_within(&mut body, idle).await? {
        let write =
            move |pacer: &Pacer| pacer.run_blocking(|| upload.write(&chunk).map(|()| upload));
        upload = offload::run(workers, Some(tenant), usize::MAX, write)
            .await?
            .map_err(InferError::from)??;
    }

    let finish = move |pacer: &Pacer| pacer.run_blocking(|| upload.finish());
    Ok(offload::run(workers, Some(tenant), usize::MAX, finish)
        .await?
        .map_err(InferError::from)??)
}

async fn next_chunk_within(body: &mut Body, idle: Duration) -> Result<Option<Bytes>, ApiError> {
    let chunk = tokio::time::timeout(idle, next_chunk(body)).await.map_err(|_| timed_out(idle))?;
    chunk.map_err(ApiError::from)
}

fn upload_target(path: &ModelPath) -> Result<UploadTarget, ApiError> {
    UploadTarget::parse(&path.model, path.version.as_deref().unwrap_or_default())
        .map_err(ApiError::from)
}

fn timed_out(patience: Duration) -> ApiError {
    let text = format!("the body did not arrive within {} s", patience.as_secs());
    ApiError::new(StatusCode::REQUEST_TIMEOUT, "request_timeout", text)
}

fn with_model(error: ApiError, path: &ModelPath) -> ApiError {
    error.with_model(&path.model, path.version.as_deref())
}

impl From<PublishError> for ApiError {
    fn from(error: PublishError) -> Self {
        match error {
            PublishError::Refused(error) => error.into(),
            PublishError::Command(error) => error.into(),
        }
    }
}

impl From<UploadError> for ApiError {
    fn from(error: UploadError) -> Self {
        let text = error.to_string();
        match error {
            UploadError::InvalidName(_) => InferError::InvalidInput(text).into(),
            UploadError::NotFound => InferError::ModelNotFound.into(),
            UploadError::Conflict(_) => ApiError::new(StatusCode::CONFLICT, "conflict", text),
            UploadError::Remote(_) => {
                ApiError::new(StatusCode::CONFLICT, "repository_is_remote", text)
            }
            UploadError::Degraded(_) => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "repository_degraded", text)
            }
            UploadError::TooLarge { .. } | UploadError::FileTooLarge { .. } => {
                ApiError::new(StatusCode::PAYLOAD_TOO_LARGE, "artifact_too_large", text)
            }
            UploadError::QuotaExceeded(refusal) => InferError::from(refusal).into(),
            UploadError::Invalid(fault) => CommandError::Failed(fault).into(),
            UploadError::Io(_) => {
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "repository_unwritable", text)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn silent_clients_time_out() {
        let silent = futures_util::stream::pending::<Result<Bytes, std::io::Error>>();
        let refused = next_chunk_within(&mut Body::from_stream(silent), Duration::from_millis(1))
            .await
            .unwrap_err();
        assert_eq!((refused.status.as_u16(), refused.code), (408, "request_timeout"));
    }

    #[test]
    fn errors_map_to_status_and_code() {
        let quota =
            crate::model::QuotaExceeded { quota: "storage", limit: 1, retry_after_seconds: 1 };
        let fault = crate::model::LoadError::new(crate::model::Stage::Golden, "case 1");

        for (error, status, code) in [
            (UploadError::InvalidName("x".into()), 400, "invalid_input"),
            (UploadError::NotFound, 404, "model_not_found"),
            (UploadError::Conflict("x".into()), 409, "conflict"),
            (UploadError::Remote("s3://x".into()), 409, "repository_is_remote"),
            (UploadError::Degraded("x".into()), 503, "repository_degraded"),
            (UploadError::TooLarge { limit: 1, allowed_by: "x" }, 413, "artifact_too_large"),
            (
                UploadError::FileTooLarge { what: "x".into(), limit: 1, allowed_by: "x" },
                413,
                "artifact_too_large",
            ),
            (quota.into(), 429, "quota_exceeded"),
            (fault.into(), 422, "load_failed"),
            (
                std::io::Error::from(std::io::ErrorKind::StorageFull).into(),
                507,
                "repository_unwritable",
            ),
        ] {
            let seen = ApiError::from(error);
            assert_eq!((seen.status.as_u16(), seen.code), (status, code), "{seen:?}");
        }
    }
}

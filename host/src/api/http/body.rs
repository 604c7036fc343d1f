//! Reading of request bodies within limits.

use std::time::Duration;

use axum::body::{Body, Bytes, HttpBody};
use http_body_util::BodyExt;

use super::request_memory::RequestMemory;
use crate::model::{Deadline, InferError};

/// Time within which a body must arrive.
const RECEIVE_TIMEOUT: Duration = Duration::from_secs(60);

/// Reads a whole body into memory and accounts for it in `memory`. Fails with
/// [`InferError::RequestTooLarge`] if it exceeds `limit` bytes, as soon as that is known: from the
/// announced length before reading, else while reading.
pub(in crate::api) async fn read(
    body: Body,
    limit: u64,
    memory: &mut RequestMemory,
) -> Result<Bytes, InferError> {
    if body.size_hint().lower() > limit {
        return Err(InferError::RequestTooLarge { limit });
    }

    within_receive_timeout(collect(body, limit, memory)).await
}

/// Waits for bytes of a client. Fails with [`InferError::DeadlineExceeded`] if it takes too long.
pub(in crate::api) async fn within_receive_timeout<T>(
    reading: impl Future<Output = Result<T, InferError>>,
) -> Result<T, InferError> {
    let read = tokio::time::timeout(RECEIVE_TIMEOUT, reading).await;
    read.unwrap_or(Err(InferError::DeadlineExceeded(Deadline::from_settings(RECEIVE_TIMEOUT))))
}

async fn collect(
    mut body: Body,
    limit: u64,
    memory: &mut RequestMemory,
) -> Result<Bytes, InferError> {
    // Most bodies arrive as a single chunk, which is used without copying.
    let Some(first) = next_chunk(&mut body).await? else { return Ok(Bytes::new()) };
    check_length(first.len(), limit)?;
    memory.resize(first.len())?;

    let Some(second) = next_chunk(&mut body).await? else { return Ok(first) };

    // Reserved capacity uses no physical memory before it is written.
    let mut whole =
        Vec::with_capacity(first.len().saturating_add(body.size_hint().lower() as usize));
    whole.extend_from_slice(&first);

    let mut chunk = Some(second);
    while let Some(bytes) = chunk {
        let length = whole.len().saturating_add(bytes.len());
        check_length(length, limit)?;
        memory.resize(length)?;
        whole.extend_from_slice(&bytes);
        chunk = next_chunk(&mut body).await?;
    }

    Ok(whole.into())
}

/// Returns the next chunk of a body. Fails if the client disconnects before the announced end.
pub(in crate::api) async fn next_chunk(body: &mut Body) -> Result<Option<Bytes>, InferError> {
    while let Some(frame) = body.frame().await {
        let frame = frame.map_err(|_| {
            InferError::InvalidInput("the body ended before its announced length".into())
        })?;
        // Trailers are ignored.
        if let Ok(data) = frame.into_data() {
            return Ok(Some(data));
        }
    }

    Ok(None)
}

fn check_length(length: usize, limit: u64) -> Result<(), InferError> {
    if length as u64 > limit { Err(InferError::RequestTooLarge { limit }) } else { Ok(()) }
}

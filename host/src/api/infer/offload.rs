//! Keeping long work away from the threads that serve HTTP.

use crate::model::InferError;

/// Reading or writing so many bytes takes about a millisecond; below it a hop to another thread costs more
/// than it spares the neighbours.
const SHORT: usize = 256 << 10;

/// Whether work on so many bytes may be done where the request is served.
pub(in crate::api) fn is_short(bytes: usize) -> bool {
    bytes <= SHORT
}

/// Runs work on a thread meant for it. Work that has begun is not cancelled with the request, but its size
/// is bounded by the model's limits.
pub(in crate::api) async fn run<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, InferError> {
    tokio::task::spawn_blocking(work).await.map_err(|fault| InferError::Internal(fault.to_string()))
}

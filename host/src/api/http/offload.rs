//! The choice between running host work inline and offloading it to the worker threads, where it
//! takes turns.

use std::time::{Duration, Instant};

use crate::model::{Deadline, InferError};
use crate::tenant::{CpuShare, INLINE_LIMIT, Pacer, Stopped, Tenant, WorkError, Workers};

/// Maximum size of inline work in bytes for a tenant that has used more than its share. Processing
/// this much takes no longer than receiving it.
const OVER_SHARE_INLINE_LIMIT: usize = 16 << 10;

/// Returns the maximum size of inline work in bytes. It is lower for a tenant that has used more
/// than its share, so that all but its smallest work waits for a turn.
pub(in crate::api) fn inline_limit(workers: &Workers, share: &CpuShare) -> usize {
    if workers.turns().may_start(share) { INLINE_LIMIT } else { OVER_SHARE_INLINE_LIMIT }
}

/// Time limit of work that belongs to no model call.
const TIMEOUT: Duration = Duration::from_secs(60);

/// Runs work on `bytes` bytes that belongs to no model, at the tenant's expense, or the host's
/// without a tenant. Work that is not inline fails with [`InferError::DeadlineExceeded`] after
/// [`TIMEOUT`].
pub(in crate::api) async fn run<T: Send + 'static>(
    workers: &Workers,
    tenant: Option<&Tenant>,
    bytes: usize,
    work: impl FnOnce(&Pacer) -> T + Send + 'static,
) -> Result<T, InferError> {
    let payer = tenant.map_or(workers.host_payer(), Tenant::payer);
    if bytes <= inline_limit(workers, payer.share()) {
        // Charged with the handling of the request.
        return Ok(work(&Pacer::unmetered()));
    }

    let done = workers.run(payer, payer.share(), Instant::now() + TIMEOUT, work).await;
    done.map_err(|error| {
        to_infer_error(error, || InferError::DeadlineExceeded(Deadline::from_settings(TIMEOUT)))
    })
}

/// Converts the error of work that did not finish. `deadline_error` creates the error of work that
/// missed its deadline.
pub(in crate::api) fn to_infer_error(
    error: WorkError,
    deadline_error: impl FnOnce() -> InferError,
) -> InferError {
    match error {
        WorkError::Stopped(Stopped::DeadlineExceeded) => deadline_error(),
        other => InferError::Internal(other.to_string()),
    }
}

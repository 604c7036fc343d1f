//! Where the host's work on a request's bytes is done: here, or in turns on the threads for it.

use std::time::{Duration, Instant};

use crate::model::{Deadline, InferError};
use crate::tenant::{Pace, Share, Stopped, Tenant, Undone, Workers};

/// Reading or writing so many bytes takes about a millisecond; below it a hop to another thread
/// costs more than it spares the neighbours.
const SHORT: usize = 256 << 10;

/// Reading or writing so many bytes takes no longer than receiving them: it is done here, whoever
/// is ahead.
const TINY: usize = 16 << 10;

/// How many bytes are worked on where the request is served. A tenant that is ahead of the others
/// lines up with its short work too, as with its short calls.
pub(super) fn bytes_here(workers: &Workers, share: &Share) -> usize {
    if workers.turns().may_start(share) { SHORT } else { TINY }
}

/// How long work may take that belongs to no call.
const PATIENCE: Duration = Duration::from_secs(60);

/// Does work on so many bytes that belongs to none of the tenant's models, at the tenant's expense.
/// Work for no tenant in particular costs nobody. Fails with [`InferError::DeadlineExceeded`] after
/// a minute.
pub(in crate::api) async fn run<T: Send + 'static>(
    workers: &Workers,
    tenant: Option<&Tenant>,
    bytes: usize,
    work: impl FnOnce(&Pace) -> T + Send + 'static,
) -> Result<T, InferError> {
    let payer = tenant.map_or(workers.nobody(), Tenant::payer);
    if bytes <= bytes_here(workers, payer.share()) {
        // Charged with the handling of the request.
        return Ok(work(&Pace::free()));
    }
    let done = workers.run(payer, payer.share(), Instant::now() + PATIENCE, work).await;
    done.map_err(|undone| {
        explain(undone, || InferError::DeadlineExceeded(Deadline::of_settings(PATIENCE)))
    })
}

/// What a caller is told of work that was not done. `late` is the error of work that did not end in
/// time.
pub(in crate::api) fn explain(undone: Undone, late: impl FnOnce() -> InferError) -> InferError {
    match undone {
        Undone::Stopped(Stopped::Late) => late(),
        other => InferError::Internal(other.to_string()),
    }
}

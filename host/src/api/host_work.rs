//! Host work of one request, and its CPU time, which the tenant pays for like the CPU time of its
//! guests.

use std::time::{Duration, Instant};

use axum::body::Bytes;

use super::http::compression::{ContentCoding, MaybeCompressed};
use super::http::offload;
use super::http::offload::inline_limit;
use crate::engine::Budget;
use crate::model::{Deadline, InferError};
use crate::servable::ServableHandle;
use crate::tenant::{Pacer, Workers, thread_time};

/// CPU time of the connection's share of a request: two system calls, parsing of the head, one
/// thread wake-up. A constant, because measuring it would cost as much again. A bare handler takes
/// 13 µs in total.
const CONNECTION_COST: Duration = Duration::from_micros(10);

/// Work on this many bytes is so short that the ordinary clock measures it. Reading the thread's
/// CPU clock takes a system call, about as long as the work on a small request.
const SHORT_WORK: usize = 16 << 10;

/// The most that short work is charged. The thread may wait for a core meanwhile.
const MAX_SHORT_TIME: Duration = Duration::from_millis(1);

/// Minimum time allowed for writing a response: a model that answered has kept the request's
/// deadline.
const MIN_WRITE_TIMEOUT: Duration = Duration::from_secs(60);

/// Runs the host work of one request. Charges the CPU time of inline work to the tenant on drop.
pub(super) struct HostWork {
    workers: Workers,
    servable: ServableHandle,
    time: Duration,
}

impl HostWork {
    /// Starts the accounting for a request to `servable`.
    pub(super) fn new(workers: &Workers, servable: &ServableHandle) -> Self {
        HostWork { workers: workers.clone(), servable: servable.clone(), time: CONNECTION_COST }
    }

    /// Runs work on `bytes` bytes of the request, which arrived at `received`. Fails with
    /// [`InferError::DeadlineExceeded`] if it does not end within the request's deadline, as far as
    /// that is known.
    pub(super) async fn read<T: Send + 'static>(
        &mut self,
        bytes: usize,
        received: Instant,
        deadline: Option<Deadline>,
        work: impl FnOnce(&Pacer) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        self.run(bytes, self.budget(received, deadline), work).await
    }

    /// Runs work on `bytes` bytes of the response. Fails with [`InferError::DeadlineExceeded`] if
    /// it takes longer than a minute or the model's deadline, whichever is longer.
    pub(super) async fn write<T: Send + 'static>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&Pacer) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        let allowed = Deadline::from_settings(
            self.servable.settings().limits.deadline.max(MIN_WRITE_TIMEOUT),
        );
        let budget = Budget::with_deadline(Instant::now(), allowed, Duration::MAX);
        self.run(bytes, budget, work).await
    }

    /// Decompresses a body at once if it is short enough, see [`MaybeCompressed::new`].
    pub(super) fn decompress_if_short(
        &mut self,
        coding: Option<ContentCoding>,
        body: Bytes,
        limit: u64,
    ) -> Result<MaybeCompressed, InferError> {
        let inline_limit = self.inline_limit();
        let decompress = || MaybeCompressed::new(coding, body, limit, inline_limit);
        match coding {
            None => decompress(),
            // The length of the result is not known.
            Some(_) => self.run_inline(usize::MAX, decompress),
        }
    }

    /// Maximum size of work that runs inline, in bytes.
    fn inline_limit(&self) -> usize {
        inline_limit(&self.workers, self.servable.factory().share())
    }

    /// Runs work on `bytes` bytes inline and measures its CPU time.
    fn run_inline<T>(&mut self, bytes: usize, work: impl FnOnce() -> T) -> T {
        if bytes > SHORT_WORK {
            let started = thread_time();
            let outcome = work();
            self.time += thread_time().saturating_sub(started);
            return outcome;
        }

        let started = Instant::now();
        let outcome = work();
        self.time += started.elapsed().min(MAX_SHORT_TIME);
        outcome
    }

    async fn run<T: Send + 'static>(
        &mut self,
        bytes: usize,
        budget: Budget,
        work: impl FnOnce(&Pacer) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        if bytes <= self.inline_limit() {
            return self.run_inline(bytes, || work(&Pacer::unmetered()));
        }

        let factory = self.servable.factory();
        let done = self
            .workers
            .run(factory.tenant().payer(), factory.share(), budget.deadline(), work)
            .await;

        done.unwrap_or_else(|error| {
            Err(offload::to_infer_error(error, || budget.deadline_exceeded()))
        })
    }

    fn budget(&self, from: Instant, deadline: Option<Deadline>) -> Budget {
        let limits = &self.servable.settings().limits;
        Budget::with_deadline(
            from,
            Deadline::from_settings(limits.deadline).or_shorter(deadline),
            limits.cpu_time,
        )
    }
}

impl Drop for HostWork {
    fn drop(&mut self) {
        self.servable.charge_host_work(self.time);
    }
}

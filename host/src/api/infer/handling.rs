//! What handling a request costs the host, which its tenant pays for as for its guests' computing.

use std::time::{Duration, Instant};

use super::offload::{self, bytes_here};
use crate::engine::Budget;
use crate::model::{Deadline, InferError};
use crate::servable::ServableHandle;
use crate::tenant::{Pace, Workers, thread_time};

/// What the connection's side of a request takes: two system calls, reading the head, waking a
/// thread. It is not measured, because that would cost as much again; a bare handler takes 13 µs in
/// all.
const EXCHANGE: Duration = Duration::from_micros(10);

/// How long writing an answer may take at least: whoever has computed it has kept the deadline.
const PATIENCE: Duration = Duration::from_secs(60);

/// The host's work for one request. Charges on drop what was done where the request is served.
pub(in crate::api) struct Handling {
    workers: Workers,
    servable: ServableHandle,
    time: Duration,
}

impl Handling {
    /// Begins to handle a request for that version.
    pub(in crate::api) fn of(workers: &Workers, servable: &ServableHandle) -> Self {
        Handling { workers: workers.clone(), servable: servable.clone(), time: EXCHANGE }
    }

    /// Reads so many bytes of the request, which arrived at `received`. Fails with
    /// [`InferError::DeadlineExceeded`] if that has not ended within the request's deadline, as far
    /// as it is known.
    pub(in crate::api) async fn read<T: Send + 'static>(
        &mut self,
        bytes: usize,
        received: Instant,
        deadline: Option<Deadline>,
        work: impl FnOnce(&Pace) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        self.work(bytes, self.budget(received, deadline), work).await
    }

    /// Writes so many bytes of the answer. Fails with [`InferError::DeadlineExceeded`] if that
    /// takes longer than a minute, or than the model's call may where that is more.
    pub(in crate::api) async fn write<T: Send + 'static>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&Pace) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        let allowed = Deadline::of_settings(self.servable.settings().limits.deadline.max(PATIENCE));
        let budget = Budget::within(Instant::now(), allowed, Duration::MAX);
        self.work(bytes, budget, work).await
    }

    /// How many bytes may be worked on where the request is served.
    pub(in crate::api) fn bytes_here(&self) -> usize {
        bytes_here(&self.workers, self.servable.maker().share())
    }

    /// Does work that is known to be short.
    pub(in crate::api) fn count<T>(&mut self, work: impl FnOnce() -> T) -> T {
        let started = thread_time();
        let outcome = work();
        self.time += thread_time().saturating_sub(started);
        outcome
    }

    async fn work<T: Send + 'static>(
        &mut self,
        bytes: usize,
        budget: Budget,
        work: impl FnOnce(&Pace) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        if bytes <= self.bytes_here() {
            return self.count(|| work(&Pace::free()));
        }
        let maker = self.servable.maker();
        let done =
            self.workers.run(maker.tenant().payer(), maker.share(), budget.deadline(), work).await;
        done.unwrap_or_else(|undone| Err(offload::explain(undone, || budget.deadline_exceeded())))
    }

    fn budget(&self, from: Instant, deadline: Option<Deadline>) -> Budget {
        let limits = &self.servable.settings().limits;
        Budget::within(
            from,
            Deadline::of_settings(limits.deadline).or_shorter(deadline),
            limits.cpu_time,
        )
    }
}

impl Drop for Handling {
    fn drop(&mut self) {
        self.servable.charge_handling(self.time);
    }
}

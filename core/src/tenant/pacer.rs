//! Checkpoints of host work for a tenant.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::model::InferError;

use super::{CpuMeter, CpuShare, FairScheduler, HostWorkMeter};

/// The reason for which a piece of work ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The caller no longer waits for it.
    #[error("the work was cancelled")]
    Cancelled,
    /// Its deadline has passed.
    #[error("the work did not end in time")]
    DeadlineExceeded,
}

impl From<Stopped> for InferError {
    fn from(stopped: Stopped) -> Self {
        // No client receives this error: the request is gone.
        InferError::Internal(stopped.to_string())
    }
}

/// Paces host work: at each checkpoint the work yields to other tenants and checks for
/// cancellation.
///
/// A checkpoint reads the clock. Work has one every few hundred microseconds.
pub struct Pacer {
    metered: Option<MeteredWork>,
    stopped: Cell<Option<Stopped>>,
}

struct MeteredWork {
    meter: HostWorkMeter,
    /// `None` if the work has no deadline.
    deadline: Option<Instant>,
    cancelled: Arc<AtomicBool>,
}

/// Cancels a piece of work on drop.
pub(super) struct CancelOnDrop(Arc<AtomicBool>);

impl Pacer {
    /// For short work and for work without a tenant: its checkpoints do nothing.
    pub const fn unmetered() -> Self {
        Pacer { metered: None, stopped: Cell::new(None) }
    }

    /// For work that takes turns on the current thread, which has idle priority. The work stops at
    /// `deadline`, or when `cancelled` becomes true.
    pub(super) fn metered_by(
        turns: Arc<FairScheduler>,
        share: Arc<CpuShare>,
        deadline: Option<Instant>,
        cancelled: Arc<AtomicBool>,
    ) -> Self {
        let meter = HostWorkMeter::for_idle_threads(turns, share);
        let metered = Some(MeteredWork { meter, deadline, cancelled });
        Pacer { metered, stopped: Cell::new(None) }
    }

    /// Runs a piece of work once its turn has come, and charges its CPU time.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Pacer) -> T) -> Result<T, Stopped> {
        let meter = self.metered.as_ref().map(|metered| &metered.meter);
        let _charging = meter.map(|meter| meter.start_charging(&CpuMeter::default()));
        self.begin()?;

        let outcome = work(self);
        self.stopped.get().map_or(Ok(outcome), Err)
    }

    /// Yields if other work is due. Fails if the work is cancelled or late; then it must end, and
    /// its result is dropped.
    pub fn checkpoint(&self) -> Result<(), Stopped> {
        self.unless_stopped(|metered| metered.meter.yield_if_due(|| metered.stop_reason()))
    }

    /// Runs an operation that may block, such as reading from a disk. The turn is free meanwhile.
    pub fn run_blocking<T>(&self, work: impl FnOnce() -> T) -> Result<T, Stopped> {
        if let Some(metered) = &self.metered {
            metered.meter.end_work();
        }

        let outcome = work();
        self.begin()?;
        Ok(outcome)
    }

    /// Waits for a turn, if one is needed.
    fn begin(&self) -> Result<(), Stopped> {
        self.unless_stopped(|metered| metered.meter.begin_work(|| metered.stop_reason()))
    }

    /// Takes a step of the meter, unless the work is to stop. Remembers the reason to stop.
    fn unless_stopped(
        &self,
        step: impl FnOnce(&MeteredWork) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(metered) = &self.metered else { return Ok(()) };
        let outcome = metered.stop_reason().map_or_else(|| step(metered), Err);
        self.stopped.set(self.stopped.get().or(outcome.err()));
        outcome
    }
}

impl MeteredWork {
    fn stop_reason(&self) -> Option<Stopped> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Some(Stopped::Cancelled);
        }
        let late = self.deadline.is_some_and(|deadline| Instant::now() >= deadline);
        late.then_some(Stopped::DeadlineExceeded)
    }
}

impl CancelOnDrop {
    pub(super) fn new() -> Self {
        CancelOnDrop(Arc::default())
    }

    /// The flag that becomes true when the work is cancelled.
    pub(super) fn cancelled(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

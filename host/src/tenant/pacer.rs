//! Checkpoints of host work for a tenant.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

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
    abandoned: Arc<AtomicBool>,
}

/// Cancels a piece of work on drop.
pub(super) struct CancelOnDrop(Arc<AtomicBool>);

impl Pacer {
    /// For short work and for work without a tenant: its checkpoints do nothing.
    pub const fn unmetered() -> Self {
        Pacer { metered: None, stopped: Cell::new(None) }
    }

    /// For work that takes turns on the current thread, which has idle priority. The work stops at
    /// `deadline`, or when `flag` becomes true.
    pub(super) fn metered_by(
        turns: Arc<FairScheduler>,
        share: Arc<CpuShare>,
        until: Option<Instant>,
        abandoned: Arc<AtomicBool>,
    ) -> Self {
        let meter = HostWorkMeter::for_idle_threads(turns, share);
        Pacer {
            metered: Some(MeteredWork { meter, deadline: until, abandoned }),
            stopped: Cell::new(None),
        }
    }

    /// Runs a piece of work once its turn has come, and charges its CPU time.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Pacer) -> T) -> Result<T, Stopped> {
        let _paying =
            self.metered.as_ref().map(|taking| taking.meter.start_charging(&CpuMeter::default()));
        self.check(|taking| match taking.stop_reason() {
            Some(why) => Err(why),
            None => taking.meter.begin_work(|| taking.stop_reason()),
        })?;

        let outcome = work(self);
        self.stopped.get().map_or(Ok(outcome), Err)
    }

    /// Yields if other work is due. Fails if the work is cancelled or late; then it must end, and
    /// its result is dropped.
    pub fn checkpoint(&self) -> Result<(), Stopped> {
        self.check(|taking| match taking.stop_reason() {
            Some(why) => Err(why),
            None => taking.meter.yield_if_due(|| taking.stop_reason()),
        })
    }

    /// Runs an operation that may block, such as reading from a disk. The turn is free meanwhile.
    pub fn run_blocking<T>(&self, work: impl FnOnce() -> T) -> Result<T, Stopped> {
        if let Some(taking) = &self.metered {
            taking.meter.end_work();
        }

        let outcome = work();
        self.check(|taking| match taking.stop_reason() {
            Some(why) => Err(why),
            None => taking.meter.begin_work(|| taking.stop_reason()),
        })?;
        Ok(outcome)
    }

    fn check(
        &self,
        check: impl FnOnce(&MeteredWork) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(taking) = &self.metered else { return Ok(()) };
        let checked = check(taking);
        self.stopped.set(self.stopped.get().or(checked.err()));
        checked
    }
}

impl MeteredWork {
    fn stop_reason(&self) -> Option<Stopped> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Some(Stopped::Cancelled);
        }
        self.deadline
            .is_some_and(|until| Instant::now() >= until)
            .then_some(Stopped::DeadlineExceeded)
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

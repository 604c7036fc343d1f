//! Checkpoints of host work for a tenant.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Bill, Meter, Share, Turns};

/// The reason for which a piece of work ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The caller no longer waits for it.
    #[error("nobody waits for the work any more")]
    Abandoned,
    /// Its deadline has passed.
    #[error("the work did not end in time")]
    Late,
}

/// Paces host work: at each checkpoint the work yields to other tenants and checks for
/// cancellation.
///
/// A checkpoint reads the clock. Work has one every few hundred microseconds.
pub struct Pace {
    taking_turns: Option<TakingTurns>,
    stopped: Cell<Option<Stopped>>,
}

struct TakingTurns {
    meter: Meter,
    /// `None` if the work has no deadline.
    until: Option<Instant>,
    abandoned: Arc<AtomicBool>,
}

/// Cancels a piece of work on drop.
pub(super) struct Waiting(Arc<AtomicBool>);

impl Pace {
    /// For short work and for work without a tenant: its checkpoints do nothing.
    pub const fn free() -> Self {
        Pace { taking_turns: None, stopped: Cell::new(None) }
    }

    /// For work that takes turns on the current thread, which has idle priority. The work stops at
    /// `until`, or when `abandoned` becomes true.
    pub(super) fn in_turns(
        turns: Arc<Turns>,
        share: Arc<Share>,
        until: Option<Instant>,
        abandoned: Arc<AtomicBool>,
    ) -> Self {
        let meter = Meter::behind(turns, share);
        Pace {
            taking_turns: Some(TakingTurns { meter, until, abandoned }),
            stopped: Cell::new(None),
        }
    }

    /// Runs a piece of work once its turn has come, and charges its CPU time.
    pub(super) fn run<T>(&self, work: impl FnOnce(&Pace) -> T) -> Result<T, Stopped> {
        let _paying =
            self.taking_turns.as_ref().map(|taking| taking.meter.paid_by(&Bill::default()));
        self.check(|taking| match taking.why_stop() {
            Some(why) => Err(why),
            None => taking.meter.begin(|| taking.why_stop()),
        })?;

        let outcome = work(self);
        self.stopped.get().map_or(Ok(outcome), Err)
    }

    /// Yields if other work is due. Fails if the work is cancelled or late; then it must end, and
    /// its result is dropped.
    pub fn give_way(&self) -> Result<(), Stopped> {
        self.check(|taking| match taking.why_stop() {
            Some(why) => Err(why),
            None => taking.meter.give_way(|| taking.why_stop()),
        })
    }

    /// Runs an operation that may block, such as reading from a disk. The turn is free meanwhile.
    pub fn aside<T>(&self, work: impl FnOnce() -> T) -> Result<T, Stopped> {
        if let Some(taking) = &self.taking_turns {
            taking.meter.end();
        }

        let outcome = work();
        self.check(|taking| match taking.why_stop() {
            Some(why) => Err(why),
            None => taking.meter.begin(|| taking.why_stop()),
        })?;
        Ok(outcome)
    }

    fn check(
        &self,
        check: impl FnOnce(&TakingTurns) -> Result<(), Stopped>,
    ) -> Result<(), Stopped> {
        let Some(taking) = &self.taking_turns else { return Ok(()) };
        let checked = check(taking);
        self.stopped.set(self.stopped.get().or(checked.err()));
        checked
    }
}

impl TakingTurns {
    fn why_stop(&self) -> Option<Stopped> {
        if self.abandoned.load(Ordering::Relaxed) {
            return Some(Stopped::Abandoned);
        }
        self.until.is_some_and(|until| Instant::now() >= until).then_some(Stopped::Late)
    }
}

impl Waiting {
    pub(super) fn begin() -> Self {
        Waiting(Arc::default())
    }

    /// The flag that becomes true when the work is cancelled.
    pub(super) fn abandoned(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

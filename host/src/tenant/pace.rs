//! Checkpoints of the host's work for a tenant.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use super::{Bill, Meter, Share, Turns};

/// Why a piece of work ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// Nobody waits for it any more.
    #[error("nobody waits for the work any more")]
    Abandoned,
    /// Its time is up.
    #[error("the work did not end in time")]
    Late,
}

/// How a piece of work goes on: at each checkpoint it gives way to others, and learns whether it is
/// still wanted.
///
/// A checkpoint reads the clock. Work has one every few hundred microseconds.
pub struct Pace {
    taking_turns: Option<TakingTurns>,
    stopped: Cell<Option<Stopped>>,
}

struct TakingTurns {
    meter: Meter,
    /// `None` if it may take as long as it takes.
    until: Option<Instant>,
    abandoned: Arc<AtomicBool>,
}

/// Whether somebody waits for a piece of work. Tells it on drop that nobody does.
pub(super) struct Waiting(Arc<AtomicBool>);

impl Pace {
    /// The pace of short work, and of work for nobody in particular: its checkpoints do nothing.
    pub const fn free() -> Self {
        Pace { taking_turns: None, stopped: Cell::new(None) }
    }

    /// The pace of work that takes turns on the present thread, which has stepped back. It stops at
    /// `until`, or once it is abandoned.
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

    /// Does a piece of work once its turn has come, and charges what it takes.
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

    /// Has the work give way if others are due. Fails if it is not wanted any more; it is to end
    /// then, whatever with.
    pub fn give_way(&self) -> Result<(), Stopped> {
        self.check(|taking| match taking.why_stop() {
            Some(why) => Err(why),
            None => taking.meter.give_way(|| taking.why_stop()),
        })
    }

    /// Does something that may have to wait, such as for a disk. The turn is for others meanwhile.
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

    /// Becomes true when nobody waits any more.
    pub(super) fn abandoned(&self) -> Arc<AtomicBool> {
        self.0.clone()
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

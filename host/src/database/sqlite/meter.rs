//! What the work of one thread costs, who pays for it, and when it may go on.
//!
//! A statement takes turns as guests do: a short one begins at once if its tenant is not ahead of the others; one that
//! is ahead, or has run for a slice, waits for a turn, with whatever it holds of its own tenant's. So what a tenant's
//! statements take counts while they take it, and keeps nobody else from what is theirs.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::super::{Bill, SqlError, bill};
use crate::tenant::{Place, Share, Turns, step_back};

/// How long a statement may run before it gives way to others.
const SLICE: Duration = Duration::from_millis(1);

/// How often a statement that waits for its turn looks whether it is wanted any more.
const LOOK: Duration = Duration::from_millis(10);

/// One thread's meter. A clone is the same.
#[derive(Clone)]
pub(super) struct Meter(Arc<Mutex<Reading>>);

struct Reading {
    turns: Arc<Turns>,
    share: Arc<Share>,
    bill: Bill,
    /// CPU time of the thread that was paid for, or that nobody had to pay for.
    paid: Duration,
    /// When the present slice is over.
    slice_ends: Instant,
    /// What the present statement has used.
    used: Duration,
    /// The present thread has stepped back for one that was long.
    stepped_back: bool,
    /// Held while a statement runs that had to wait for its turn.
    place: Option<Place>,
}

/// Somebody pays for what the thread does. Charges the rest on drop.
pub(super) struct Paying(Meter);

impl Meter {
    /// A meter of work that is paid for from that share.
    pub(super) fn new(turns: Arc<Turns>, share: Arc<Share>) -> Self {
        let (bill, paid, used, slice_ends) = (Bill::default(), Duration::ZERO, Duration::ZERO, Instant::now());
        let (stepped_back, place) = (false, None);
        Meter(Arc::new(Mutex::new(Reading { turns, share, bill, paid, slice_ends, used, stepped_back, place })))
    }

    /// Has the present thread's work paid for until the result is dropped, and noted on that bill.
    pub(super) fn paid_by(&self, bill: &Bill) -> Paying {
        let mut reading = self.lock();
        (reading.bill, reading.paid, reading.stepped_back) = (bill.clone(), bill::thread_time(), false);
        Paying(self.clone())
    }

    /// Begins a statement, in its turn. `why_stop` tells why it is not to wait any longer.
    pub(super) fn begin(&self, why_stop: impl FnMut() -> Option<SqlError>) -> Result<(), SqlError> {
        let mut reading = self.lock();
        reading.used = Duration::ZERO;
        if !reading.turns.may_start(&reading.share) {
            return reading.take_turn(why_stop);
        }
        reading.slice_ends = Instant::now() + SLICE;
        Ok(())
    }

    /// Has a statement give way if its slice is over, and go on in its turn.
    pub(super) fn give_way(&self, why_stop: impl FnMut() -> Option<SqlError>) -> Result<(), SqlError> {
        let mut reading = self.lock();
        if Instant::now() < reading.slice_ends {
            return Ok(());
        }
        reading.charge();
        reading.step_back_if_long();
        reading.take_turn(why_stop)
    }

    /// Ends a statement: charges what it took and gives its turn back.
    pub(super) fn end(&self) {
        let mut reading = self.lock();
        reading.charge();
        reading.place = None;
    }

    /// Whether the thread has stepped back for the work that was paid for last.
    pub(super) fn has_stepped_back(&self) -> bool {
        self.lock().stepped_back
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn charge(&mut self) {
        let now = bill::thread_time();
        let time = now.saturating_sub(std::mem::replace(&mut self.paid, now));
        self.used += time;
        self.bill.add(time);
        self.turns.charge(&self.share, time);
    }

    /// Reading requests and running short calls must not wait for a long statement, even in its turn.
    fn step_back_if_long(&mut self) {
        if self.used >= SLICE && !self.stepped_back {
            step_back();
            self.stepped_back = true;
        }
    }

    fn take_turn(&mut self, mut why_stop: impl FnMut() -> Option<SqlError>) -> Result<(), SqlError> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        match &mut self.place {
            Some(place) => place.line_up_again(&mut context),
            none => *none = Some(self.turns.line_up(&self.share)),
        }
        while self.place.as_ref().is_some_and(|place| !place.has_come(&mut context)) {
            if let Some(why) = why_stop() {
                return Err(why);
            }
            thread::park_timeout(LOOK);
        }
        self.slice_ends = Instant::now() + SLICE;
        Ok(())
    }
}

impl Drop for Paying {
    fn drop(&mut self) {
        self.0.end();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

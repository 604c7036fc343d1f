//! Turns and CPU time of host work for a tenant.
//!
//! Host work takes turns as guests do. Short work starts at once if its tenant is not ahead of the
//! others. Work of a tenant that is ahead, and work that has run for a slice, waits for a turn. So
//! host work is charged while it is done, and keeps no other tenant from its share of the cores.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{Bill, Place, Share, Turns, step_back, thread_time};

/// Time for which work runs before it yields to others.
const SLICE: Duration = Duration::from_millis(1);

/// Interval at which work that waits for its turn checks for cancellation.
const LOOK: Duration = Duration::from_millis(10);

/// Meters the work of one thread. A clone is the same meter.
#[derive(Clone)]
pub struct Meter(Arc<Mutex<Reading>>);

struct Reading {
    turns: Arc<Turns>,
    share: Arc<Share>,
    bill: Bill,
    /// CPU time of the thread that is charged already, or charged to no tenant.
    paid: Duration,
    /// End of the current slice.
    slice_ends: Instant,
    /// CPU time of the current piece of work.
    used: Duration,
    /// The metered threads have idle priority from their start.
    always_back: bool,
    /// The current thread has idle priority.
    stepped_back: bool,
    /// Held while work runs that had to wait for its turn.
    place: Option<Place>,
}

/// Charges the current thread's CPU time. Charges the rest on drop.
pub struct Paying(Meter);

impl Meter {
    /// A meter that charges this share. A thread whose work turns out to be long is set to idle
    /// priority for good.
    pub fn new(turns: Arc<Turns>, share: Arc<Share>) -> Self {
        Meter::of(turns, share, false)
    }

    /// A meter for threads that have idle priority already.
    pub(super) fn behind(turns: Arc<Turns>, share: Arc<Share>) -> Self {
        Meter::of(turns, share, true)
    }

    fn of(turns: Arc<Turns>, share: Arc<Share>, always_back: bool) -> Self {
        let (bill, paid, used, slice_ends) =
            (Bill::default(), Duration::ZERO, Duration::ZERO, Instant::now());
        let (stepped_back, place) = (always_back, None);
        let reading = Reading {
            turns,
            share,
            bill,
            paid,
            slice_ends,
            used,
            always_back,
            stepped_back,
            place,
        };

        Meter(Arc::new(Mutex::new(reading)))
    }

    /// Charges the current thread's CPU time until the result is dropped, and adds it to `bill`.
    pub fn paid_by(&self, bill: &Bill) -> Paying {
        let mut reading = self.lock();
        (reading.bill, reading.paid, reading.stepped_back) =
            (bill.clone(), thread_time(), reading.always_back);
        Paying(self.clone())
    }

    /// Begins a piece of work, in its turn. Fails with the result of `why_stop` if that is not
    /// `None` while the work waits.
    pub fn begin<E>(&self, why_stop: impl FnMut() -> Option<E>) -> Result<(), E> {
        let mut reading = self.lock();
        reading.used = Duration::ZERO;
        if !reading.turns.may_start(&reading.share) {
            return reading.take_turn(why_stop);
        }

        reading.slice_ends = Instant::now() + SLICE;
        Ok(())
    }

    /// Yields to other work if the slice is over, and continues in a turn.
    pub fn give_way<E>(&self, why_stop: impl FnMut() -> Option<E>) -> Result<(), E> {
        let mut reading = self.lock();
        if Instant::now() < reading.slice_ends {
            return Ok(());
        }

        reading.charge();
        reading.step_back_if_long();
        reading.take_turn(why_stop)
    }

    /// Ends a piece of work: charges its CPU time and gives its turn back.
    pub fn end(&self) {
        let mut reading = self.lock();
        reading.charge();
        reading.place = None;
    }

    /// True if the thread was set to idle priority for the last charged work.
    pub fn has_stepped_back(&self) -> bool {
        self.lock().stepped_back
    }

    fn lock(&self) -> MutexGuard<'_, Reading> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Reading {
    fn charge(&mut self) {
        let now = thread_time();
        let time = now.saturating_sub(std::mem::replace(&mut self.paid, now));
        self.used += time;
        self.bill.add(time);
        self.turns.charge(&self.share, time);
    }

    /// Reading requests and running short calls must not wait for long work, even in its turn.
    fn step_back_if_long(&mut self) {
        if self.used >= SLICE && !self.stepped_back {
            step_back();
            self.stepped_back = true;
        }
    }

    fn take_turn<E>(&mut self, mut why_stop: impl FnMut() -> Option<E>) -> Result<(), E> {
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

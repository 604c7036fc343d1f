//! Turns and CPU time of host work for a tenant.
//!
//! Host work takes turns as guests do. Short work starts at once if its tenant is not ahead of the
//! others. Work of a tenant that is ahead, and work that has run for a slice, waits for a turn. So
//! host work is charged while it is done, and keeps no other tenant from its share of the cores.

use std::sync::{Arc, Mutex, MutexGuard};
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};
use std::time::{Duration, Instant};

use super::{CpuMeter, CpuShare, FairScheduler, TurnTicket, set_idle_priority, thread_time};
use crate::mutex::lock;

/// Time for which work runs before it yields to others.
const SLICE: Duration = Duration::from_millis(1);

/// Interval at which work that waits for its turn checks for cancellation.
const CANCEL_CHECK_INTERVAL: Duration = Duration::from_millis(10);

/// Meters the work of one thread. A clone is the same meter.
#[derive(Clone)]
pub struct HostWorkMeter(Arc<Mutex<MeterState>>);

struct MeterState {
    turns: Arc<FairScheduler>,
    share: Arc<CpuShare>,
    cpu_meter: CpuMeter,
    /// CPU time of the thread that is charged already, or charged to no tenant.
    charged: Duration,
    /// End of the current slice.
    slice_ends: Instant,
    /// CPU time of the current piece of work.
    used: Duration,
    /// The metered threads have idle priority from their start.
    always_idle_priority: bool,
    /// The current thread has idle priority.
    idle_priority: bool,
    /// Held while work runs that had to wait for its turn.
    ticket: Option<TurnTicket>,
}

/// Charges the current thread's CPU time. Charges the rest on drop.
pub struct MeterGuard(HostWorkMeter);

impl HostWorkMeter {
    /// A meter that charges this share. A thread whose work turns out to be long is set to idle
    /// priority for good.
    pub fn new(turns: Arc<FairScheduler>, share: Arc<CpuShare>) -> Self {
        HostWorkMeter::with_priority(turns, share, false)
    }

    /// A meter for threads that have idle priority already.
    pub(super) fn for_idle_threads(turns: Arc<FairScheduler>, share: Arc<CpuShare>) -> Self {
        HostWorkMeter::with_priority(turns, share, true)
    }

    fn with_priority(turns: Arc<FairScheduler>, share: Arc<CpuShare>, idle_priority: bool) -> Self {
        HostWorkMeter(Arc::new(Mutex::new(MeterState {
            turns,
            share,
            cpu_meter: CpuMeter::default(),
            charged: Duration::ZERO,
            slice_ends: Instant::now(),
            used: Duration::ZERO,
            always_idle_priority: idle_priority,
            idle_priority,
            ticket: None,
        })))
    }

    /// Charges the current thread's CPU time until the result is dropped, and adds it to
    /// `cpu_meter`.
    pub fn start_charging(&self, cpu_meter: &CpuMeter) -> MeterGuard {
        let mut state = self.lock();
        state.cpu_meter = cpu_meter.clone();
        state.charged = thread_time();
        state.idle_priority = state.always_idle_priority;
        MeterGuard(self.clone())
    }

    /// Begins a piece of work, in its turn. Fails with the result of `stop_reason` if that is not
    /// `None` while the work waits.
    pub fn begin_work<E>(&self, stop_reason: impl FnMut() -> Option<E>) -> Result<(), E> {
        let mut state = self.lock();
        state.used = Duration::ZERO;
        if !state.turns.may_start(&state.share) {
            return state.take_turn(stop_reason);
        }

        state.slice_ends = Instant::now() + SLICE;
        Ok(())
    }

    /// Yields to other work if the slice is over, and continues in a turn.
    pub fn yield_if_due<E>(&self, stop_reason: impl FnMut() -> Option<E>) -> Result<(), E> {
        let mut state = self.lock();
        if Instant::now() < state.slice_ends {
            return Ok(());
        }

        state.charge();
        state.lower_priority_if_long();
        state.take_turn(stop_reason)
    }

    /// Ends a piece of work: charges its CPU time and gives its turn back.
    pub fn end_work(&self) {
        let mut state = self.lock();
        state.charge();
        state.ticket = None;
    }

    /// True if the thread was set to idle priority for the last charged work.
    pub fn has_idle_priority(&self) -> bool {
        self.lock().idle_priority
    }

    fn lock(&self) -> MutexGuard<'_, MeterState> {
        lock(&self.0)
    }
}

impl MeterState {
    fn charge(&mut self) {
        let now = thread_time();
        let time = now.saturating_sub(std::mem::replace(&mut self.charged, now));
        self.used += time;
        self.cpu_meter.add(time);
        match self.ticket {
            Some(_) => self.turns.charge_in_turn(&self.share, time),
            None => self.turns.charge(&self.share, time),
        }
    }

    /// Reading requests and running short calls must not wait for long work, even in its turn.
    fn lower_priority_if_long(&mut self) {
        if self.used >= SLICE && !self.idle_priority {
            set_idle_priority();
            self.idle_priority = true;
        }
    }

    fn take_turn<E>(&mut self, mut stop_reason: impl FnMut() -> Option<E>) -> Result<(), E> {
        let waker = Waker::from(Arc::new(Unpark(thread::current())));
        let mut context = Context::from_waker(&waker);
        match &mut self.ticket {
            Some(ticket) => ticket.requeue(&mut context),
            none => *none = Some(self.turns.enqueue(&self.share)),
        }

        while self.ticket.as_ref().is_some_and(|ticket| !ticket.poll_granted(&mut context)) {
            if let Some(reason) = stop_reason() {
                return Err(reason);
            }
            thread::park_timeout(CANCEL_CHECK_INTERVAL);
        }

        self.slice_ends = Instant::now() + SLICE;
        Ok(())
    }
}

impl Drop for MeterGuard {
    fn drop(&mut self) {
        self.0.end_work();
    }
}

struct Unpark(Thread);

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.0.unpark();
    }
}

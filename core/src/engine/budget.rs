//! The budget of one call: its deadline and its CPU time.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::model::{Deadline, InferError};
use crate::tenant;

/// The limits of a call, wall-clock time and CPU time, and the CPU time used so far. A clone shares
/// the counters.
#[derive(Clone, Debug)]
pub struct Budget {
    received: Instant,
    deadline: Instant,
    /// The deadline's length and origin, for the error text.
    timeout: Deadline,
    cpu_time: Duration,
    cpu_used: Arc<CpuTime>,
}

/// CPU time used by a call, in nanoseconds: the total of completed polls, and the clock at the
/// start of the current poll. Time in which the thread waits for a core is not counted.
///
/// Most calls end before the first tick of their first slice. Reading the thread's CPU clock takes
/// a system call, so until then the ordinary clock stands for it. If the thread has waited for a
/// core meanwhile, that counts as well, for no more than a slice.
#[derive(Debug)]
struct CpuTime {
    used: AtomicU64,
    resumed: AtomicU64,
    /// `resumed` is a time of the ordinary clock, since the arrival of the request.
    is_wall_clock: AtomicBool,
    /// The call runs on a guest thread, where it takes turns.
    on_guest_thread: AtomicBool,
    /// The call is suspended only because its time slice ended.
    yielded: AtomicBool,
}

/// The kind of thread that a call runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ThreadKind {
    /// The thread on which the request arrived, for at most one time slice.
    Request,
    /// A guest thread, on which calls take turns.
    Guest,
}

/// The longest CPU time of a call on the thread where its request arrived, in nanoseconds.
const TIME_SLICE: u64 = Duration::from_millis(1).as_nanos() as u64;

impl Budget {
    /// A budget that starts at `received`, with a deadline from the settings.
    pub fn new(received: Instant, allowed: Duration, cpu_time: Duration) -> Self {
        Budget::with_deadline(received, Deadline::from_settings(allowed), cpu_time)
    }

    /// A budget that starts at `received`.
    pub fn with_deadline(received: Instant, allowed: Deadline, cpu_time: Duration) -> Self {
        let cpu_used = CpuTime {
            used: AtomicU64::new(0),
            resumed: AtomicU64::new(0),
            is_wall_clock: AtomicBool::new(false),
            on_guest_thread: AtomicBool::new(false),
            yielded: AtomicBool::new(false),
        };
        // Bounded to a year, so that the sum cannot overflow.
        let deadline = received + allowed.allowed.min(Duration::from_secs(365 * 24 * 3600));

        Budget { received, deadline, timeout: allowed, cpu_time, cpu_used: Arc::new(cpu_used) }
    }

    /// The time by which the call must have ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The CPU time that the call may use.
    pub fn cpu_time(&self) -> Duration {
        self.cpu_time
    }

    /// The CPU time used until the call was last suspended or ended.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.cpu_used.used.load(Ordering::Relaxed))
    }

    /// Returns the error of a call whose deadline has passed.
    pub fn deadline_exceeded(&self) -> InferError {
        InferError::DeadlineExceeded(self.timeout)
    }

    /// Returns true if the call's time slice has ended. Fails if the deadline has passed or the CPU
    /// time is used up. Runs at every epoch tick, on the guest's thread. On a guest thread every
    /// tick ends a slice; on the thread where the request arrived only CPU time does, because there
    /// a tick may come at once, or while the thread waits for a core.
    pub(super) fn check(&self) -> Result<bool, InferError> {
        if Instant::now() >= self.deadline {
            return Err(self.deadline_exceeded());
        }

        let running = self.running_at_tick();
        if self.cpu_used.used.load(Ordering::Relaxed).saturating_add(running)
            >= self.cpu_time.as_nanos() as u64
        {
            return Err(InferError::CpuTimeExceeded(self.cpu_time));
        }

        Ok(self.is_on_guest_thread() || running >= TIME_SLICE)
    }

    /// True if the call runs on a guest thread, and so in a turn.
    pub(super) fn is_on_guest_thread(&self) -> bool {
        self.cpu_used.on_guest_thread.load(Ordering::Relaxed)
    }

    /// Adds CPU time that was used for the call on other threads.
    pub(super) fn charge(&self, time: Duration) {
        if !time.is_zero() {
            self.cpu_used.used.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Starts counting the CPU time of the current thread.
    pub(super) fn resume(&self, thread: ThreadKind) {
        let CpuTime { resumed, is_wall_clock, on_guest_thread, .. } = &*self.cpu_used;
        let is_guest_thread = thread == ThreadKind::Guest;
        let now = if is_guest_thread { thread_time() } else { self.wall_time() };

        on_guest_thread.store(is_guest_thread, Ordering::Relaxed);
        is_wall_clock.store(!is_guest_thread, Ordering::Relaxed);
        resumed.store(now, Ordering::Relaxed);
    }

    /// Stops counting. Returns the CPU time used since [`Budget::resume`].
    pub(super) fn pause(&self) -> Duration {
        let CpuTime { used, resumed, is_wall_clock, .. } = &*self.cpu_used;
        let resumed = resumed.load(Ordering::Relaxed);
        let running = match is_wall_clock.load(Ordering::Relaxed) {
            true => self.wall_time().saturating_sub(resumed).min(TIME_SLICE),
            false => thread_time().saturating_sub(resumed),
        };

        used.fetch_add(running, Ordering::Relaxed);
        Duration::from_nanos(running)
    }

    /// CPU time since the call was resumed, in nanoseconds. From the first tick on the thread's CPU
    /// clock measures it.
    fn running_at_tick(&self) -> u64 {
        let CpuTime { resumed, is_wall_clock, .. } = &*self.cpu_used;
        let now = thread_time();
        if is_wall_clock.swap(false, Ordering::Relaxed) {
            let elapsed = self.wall_time().saturating_sub(resumed.load(Ordering::Relaxed));
            resumed.store(now.saturating_sub(elapsed.min(TIME_SLICE / 2)), Ordering::Relaxed);
        }

        now.saturating_sub(resumed.load(Ordering::Relaxed))
    }

    /// Time since the arrival of the request, in nanoseconds.
    fn wall_time(&self) -> u64 {
        self.received.elapsed().as_nanos() as u64
    }

    /// Suspends the guest at the end of its time slice. On a guest thread the call continues with
    /// its next turn; elsewhere it is woken at once.
    pub(super) fn yield_turn(&self) -> impl Future<Output = ()> + Send + 'static {
        YieldTurn { cpu_used: self.cpu_used.clone(), done: false }
    }

    /// Returns true if the call was suspended because its time slice ended, and resets that mark.
    pub(super) fn take_yielded(&self) -> bool {
        self.cpu_used.yielded.swap(false, Ordering::Relaxed)
    }
}

/// CPU time used by the current thread, in nanoseconds.
fn thread_time() -> u64 {
    tenant::thread_time().as_nanos() as u64
}

struct YieldTurn {
    cpu_used: Arc<CpuTime>,
    done: bool,
}

impl Future for YieldTurn {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.done, true) {
            return Poll::Ready(());
        }

        self.cpu_used.yielded.store(true, Ordering::Relaxed);
        if !self.cpu_used.on_guest_thread.load(Ordering::Relaxed) {
            context.waker().wake_by_ref();
        }

        Poll::Pending
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = Duration::from_secs(3600);

    fn spin(time: Duration) {
        let start = Instant::now();
        while start.elapsed() < time {
            std::hint::spin_loop();
        }
    }

    #[test]
    fn cpu_time_is_counted_while_the_call_runs_and_not_in_between() {
        for thread in [ThreadKind::Request, ThreadKind::Guest] {
            let budget = Budget::new(Instant::now(), LONG, Duration::from_millis(4));
            for _ in 0..2 {
                budget.resume(thread);
                spin(Duration::from_millis(1));
                assert!(budget.pause() > Duration::ZERO);
                spin(Duration::from_millis(5));
            }

            budget.resume(thread);
            assert_eq!(budget.check(), Ok(thread == ThreadKind::Guest), "{thread:?}");
            while budget.check().is_ok() {}
            assert_eq!(
                budget.check(),
                Err(InferError::CpuTimeExceeded(Duration::from_millis(4))),
                "{thread:?}"
            );
        }
    }

    #[test]
    fn on_the_request_thread_a_slice_ends_after_one_millisecond_of_cpu_time() {
        let budget = Budget::new(Instant::now(), LONG, LONG);
        budget.resume(ThreadKind::Request);
        std::thread::yield_now();
        assert_eq!(budget.check(), Ok(false));
        while budget.check() == Ok(false) {}
        assert!(budget.pause() >= Duration::from_nanos(TIME_SLICE));
    }

    #[test]
    fn a_call_that_ends_before_a_tick_is_charged_for_its_time() {
        let budget = Budget::new(Instant::now(), LONG, LONG);
        budget.resume(ThreadKind::Request);
        spin(Duration::from_micros(100));
        let short = budget.pause();
        assert!(short >= Duration::from_micros(100), "{short:?}");

        budget.resume(ThreadKind::Request);
        std::thread::sleep(Duration::from_millis(5));
        let waited = budget.pause();
        assert_eq!(waited, Duration::from_nanos(TIME_SLICE), "no more than a slice");
        assert_eq!(budget.used(), short + waited);
    }

    #[test]
    fn the_deadline_counts_from_the_arrival_of_the_request() {
        let budget =
            Budget::new(Instant::now() - Duration::from_secs(2), Duration::from_secs(1), LONG);
        let passed = InferError::DeadlineExceeded(Deadline::from_settings(Duration::from_secs(1)));
        assert_eq!(budget.check(), Err(passed));
        assert!(Budget::new(Instant::now(), Duration::MAX, LONG).check().is_ok());
    }
}

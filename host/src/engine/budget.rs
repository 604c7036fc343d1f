//! What a call may spend, and what it has spent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::model::InferError;

/// What a call may spend: wall-clock time until a deadline, and CPU time. A clone shares the account.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Instant,
    /// From the request's arrival to the deadline, for telling the caller.
    allowed: Duration,
    cpu_time: Duration,
    meter: Arc<Meter>,
}

/// CPU time that a call has used, in nanoseconds: what earlier polls took, and when the present one began.
#[derive(Debug)]
struct Meter {
    origin: Instant,
    used: AtomicU64,
    resumed: AtomicU64,
    /// The call runs where its turns are counted, see [`Where`].
    on_guest_thread: AtomicBool,
    /// The call is suspended because its slice was over, and for no other reason.
    gave_way: AtomicBool,
}

/// Where a call runs, which decides how its time is measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Where its request arrived. It stays for less than a tick, and reading the time that the thread itself has
    /// spent would take a system call, so the time that passes must do.
    Arrival,
    /// On a guest thread, which has to let others go first for who knows how long: only what the thread itself
    /// has spent is the call's.
    GuestThread,
}

impl Budget {
    /// A budget that starts counting at `received`.
    pub fn new(received: Instant, allowed: Duration, cpu_time: Duration) -> Self {
        let (used, resumed) = (AtomicU64::new(0), AtomicU64::new(0));
        let (on_guest_thread, gave_way) = (AtomicBool::new(false), AtomicBool::new(false));
        let meter = Meter { origin: Instant::now(), used, resumed, on_guest_thread, gave_way };
        // An absurdly long duration must not overflow; nobody waits a year.
        let deadline = received + allowed.min(Duration::from_secs(365 * 24 * 3600));
        Budget { deadline, allowed, cpu_time, meter: Arc::new(meter) }
    }

    /// When the call must have ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// The error of a call whose deadline has passed.
    pub fn deadline_exceeded(&self) -> InferError {
        InferError::DeadlineExceeded(self.allowed)
    }

    /// Fails once either is spent. Asked at every tick while the guest runs, on the thread where it runs.
    pub(super) fn check(&self) -> Result<(), InferError> {
        if Instant::now() >= self.deadline {
            return Err(self.deadline_exceeded());
        }
        if self.meter.used_now() >= self.cpu_time.as_nanos() as u64 {
            return Err(InferError::CpuTimeExceeded(self.cpu_time));
        }
        Ok(())
    }

    /// Notes that the call is running from now on, on this thread.
    pub(super) fn resume(&self, place: Where) {
        self.meter.on_guest_thread.store(place == Where::GuestThread, Ordering::Relaxed);
        self.meter.resumed.store(self.meter.clock(), Ordering::Relaxed);
    }

    /// Notes that the call is not running from now on. Returns how long it was.
    pub(super) fn pause(&self) -> Duration {
        let before = self.meter.used.load(Ordering::Relaxed);
        let used = self.meter.used_now();
        self.meter.used.store(used, Ordering::Relaxed);
        Duration::from_nanos(used - before)
    }

    /// Suspends the guest at the end of its slice. On a guest thread it goes on when whoever runs it has found
    /// that its next turn has come; elsewhere at once.
    pub(super) fn give_way(&self) -> impl Future<Output = ()> + Send + 'static {
        GiveWay { meter: self.meter.clone(), done: false }
    }

    /// Whether the call was suspended because its slice was over; forgets it.
    pub(super) fn take_gave_way(&self) -> bool {
        self.meter.gave_way.swap(false, Ordering::Relaxed)
    }
}

impl Meter {
    /// What the clock that this call is measured by says.
    fn clock(&self) -> u64 {
        if !self.on_guest_thread.load(Ordering::Relaxed) {
            return self.origin.elapsed().as_nanos() as u64;
        }
        let time = clock_gettime(ClockId::ThreadCPUTime);
        time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64
    }

    fn used_now(&self) -> u64 {
        let running = self.clock().saturating_sub(self.resumed.load(Ordering::Relaxed));
        self.used.load(Ordering::Relaxed).saturating_add(running)
    }
}

struct GiveWay {
    meter: Arc<Meter>,
    done: bool,
}

impl Future for GiveWay {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        if std::mem::replace(&mut self.done, true) {
            return Poll::Ready(());
        }
        self.meter.gave_way.store(true, Ordering::Relaxed);
        if !self.meter.on_guest_thread.load(Ordering::Relaxed) {
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
    fn cpu_time_is_counted_over_all_slices_and_nothing_in_between() {
        for place in [Where::Arrival, Where::GuestThread] {
            let budget = Budget::new(Instant::now(), LONG, Duration::from_millis(4));
            for _ in 0..2 {
                budget.resume(place);
                spin(Duration::from_millis(1));
                assert!(budget.pause() > Duration::ZERO);
                spin(Duration::from_millis(5));
            }
            budget.resume(place);
            assert_eq!(budget.check(), Ok(()), "{place:?}");
            while budget.check().is_ok() {}
            assert_eq!(budget.check(), Err(InferError::CpuTimeExceeded(Duration::from_millis(4))), "{place:?}");
        }
    }

    #[test]
    fn the_deadline_counts_from_arrival() {
        let budget = Budget::new(Instant::now() - Duration::from_secs(2), Duration::from_secs(1), LONG);
        assert_eq!(budget.check(), Err(InferError::DeadlineExceeded(Duration::from_secs(1))));
        Budget::new(Instant::now(), Duration::MAX, LONG).check().unwrap();
    }
}

//! What a call may spend, and what it has spent.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use crate::model::{Deadline, InferError};
use crate::tenant;

/// What a call may spend: wall-clock time until a deadline, and CPU time. A clone shares the
/// account.
#[derive(Clone, Debug)]
pub struct Budget {
    deadline: Instant,
    /// What to tell the caller of the deadline.
    allowed: Deadline,
    cpu_time: Duration,
    meter: Arc<Meter>,
}

/// CPU time that a call has used, in nanoseconds: what earlier polls took, and what its thread had
/// used when the present one began. Only what the thread itself has used is the call's: it may have
/// to let others go first.
#[derive(Debug)]
struct Meter {
    used: AtomicU64,
    resumed: AtomicU64,
    /// The call runs where it takes turns, see [`Where`].
    on_guest_thread: AtomicBool,
    /// The call is suspended because its slice was over, and for no other reason.
    gave_way: AtomicBool,
}

/// Where a call runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Where {
    /// Where its request arrived, for one slice.
    Arrival,
    /// On a guest thread, where it takes turns with others.
    GuestThread,
}

/// How long a call may run where its request arrived, and at least may on a guest thread once it
/// has its turn.
const SLICE: u64 = Duration::from_millis(1).as_nanos() as u64;

impl Budget {
    /// A budget that starts counting at `received`, with a deadline that the settings have set.
    pub fn new(received: Instant, allowed: Duration, cpu_time: Duration) -> Self {
        Budget::within(received, Deadline::of_settings(allowed), cpu_time)
    }

    /// A budget that starts counting at `received`.
    pub fn within(received: Instant, allowed: Deadline, cpu_time: Duration) -> Self {
        let (used, resumed) = (AtomicU64::new(0), AtomicU64::new(0));
        let (on_guest_thread, gave_way) = (AtomicBool::new(false), AtomicBool::new(false));
        let meter = Meter { used, resumed, on_guest_thread, gave_way };
        // An absurdly long duration must not overflow; nobody waits a year.
        let deadline = received + allowed.allowed.min(Duration::from_secs(365 * 24 * 3600));
        Budget { deadline, allowed, cpu_time, meter: Arc::new(meter) }
    }

    /// When the call must have ended.
    pub fn deadline(&self) -> Instant {
        self.deadline
    }

    /// How much CPU time the call may use.
    pub fn cpu_time(&self) -> Duration {
        self.cpu_time
    }

    /// How much CPU time the call has used until it was last suspended or ended.
    pub fn used(&self) -> Duration {
        Duration::from_nanos(self.meter.used.load(Ordering::Relaxed))
    }

    /// The error of a call whose deadline has passed.
    pub fn deadline_exceeded(&self) -> InferError {
        InferError::DeadlineExceeded(self.allowed)
    }

    /// Fails once either is spent, and tells otherwise whether the call's slice is over. Asked at
    /// every tick while the guest runs, on the thread where it runs. A tick is no measure of a
    /// slice where the request arrived: it may come at once, or while the thread waits for a core.
    pub(super) fn check(&self) -> Result<bool, InferError> {
        if Instant::now() >= self.deadline {
            return Err(self.deadline_exceeded());
        }
        let running = self.meter.running();
        if self.meter.used.load(Ordering::Relaxed).saturating_add(running)
            >= self.cpu_time.as_nanos() as u64
        {
            return Err(InferError::CpuTimeExceeded(self.cpu_time));
        }
        Ok(self.meter.on_guest_thread.load(Ordering::Relaxed) || running >= SLICE)
    }

    /// Notes CPU time that was spent for the call elsewhere.
    pub(super) fn spend(&self, time: Duration) {
        if !time.is_zero() {
            self.meter.used.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
        }
    }

    /// Notes that the call is running from now on, on this thread.
    pub(super) fn resume(&self, place: Where) {
        self.meter.on_guest_thread.store(place == Where::GuestThread, Ordering::Relaxed);
        self.meter.resumed.store(thread_time(), Ordering::Relaxed);
    }

    /// Notes that the call is not running from now on. Returns how much CPU time it took.
    pub(super) fn pause(&self) -> Duration {
        let running = self.meter.running();
        self.meter.used.fetch_add(running, Ordering::Relaxed);
        Duration::from_nanos(running)
    }

    /// Suspends the guest at the end of its slice. On a guest thread it goes on when whoever runs
    /// it has found that its next turn has come; elsewhere at once.
    pub(super) fn give_way(&self) -> impl Future<Output = ()> + Send + 'static {
        GiveWay { meter: self.meter.clone(), done: false }
    }

    /// Whether the call was suspended because its slice was over; forgets it.
    pub(super) fn take_gave_way(&self) -> bool {
        self.meter.gave_way.swap(false, Ordering::Relaxed)
    }
}

impl Meter {
    /// CPU time since the call was resumed, on the thread where it was.
    fn running(&self) -> u64 {
        thread_time().saturating_sub(self.resumed.load(Ordering::Relaxed))
    }
}

/// CPU time that the present thread has used, in nanoseconds.
fn thread_time() -> u64 {
    tenant::thread_time().as_nanos() as u64
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
            assert_eq!(budget.check(), Ok(place == Where::GuestThread), "{place:?}");
            while budget.check().is_ok() {}
            assert_eq!(
                budget.check(),
                Err(InferError::CpuTimeExceeded(Duration::from_millis(4))),
                "{place:?}"
            );
        }
    }

    #[test]
    fn where_its_request_arrived_a_slice_is_over_after_so_much_cpu_time() {
        let budget = Budget::new(Instant::now(), LONG, LONG);
        budget.resume(Where::Arrival);
        std::thread::yield_now();
        assert_eq!(budget.check(), Ok(false));
        while budget.check() == Ok(false) {}
        assert!(budget.pause() >= Duration::from_nanos(SLICE));
    }

    #[test]
    fn the_deadline_counts_from_arrival() {
        let budget =
            Budget::new(Instant::now() - Duration::from_secs(2), Duration::from_secs(1), LONG);
        let passed = InferError::DeadlineExceeded(Deadline::of_settings(Duration::from_secs(1)));
        assert_eq!(budget.check(), Err(passed));
        assert!(Budget::new(Instant::now(), Duration::MAX, LONG).check().is_ok());
    }
}

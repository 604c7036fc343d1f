//! What a call may spend, and what it has spent.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

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

/// CPU time that a call has used: what earlier polls took, and when the present one began.
#[derive(Debug)]
struct Meter {
    origin: Instant,
    used: AtomicU64,
    resumed: AtomicU64,
}

impl Budget {
    /// A budget that starts counting at `received`.
    pub fn new(received: Instant, allowed: Duration, cpu_time: Duration) -> Self {
        let meter = Meter { origin: Instant::now(), used: AtomicU64::new(0), resumed: AtomicU64::new(0) };
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

    /// Fails once either is spent. Asked at every tick while the guest runs.
    pub(super) fn check(&self) -> Result<(), InferError> {
        let now = Instant::now();
        if now >= self.deadline {
            return Err(self.deadline_exceeded());
        }
        if self.meter.used(now) >= self.cpu_time {
            return Err(InferError::CpuTimeExceeded(self.cpu_time));
        }
        Ok(())
    }

    /// Notes that the call is running from now on.
    pub(super) fn resume(&self) {
        self.meter.resumed.store(self.meter.since_origin(Instant::now()), Ordering::Relaxed);
    }

    /// Notes that the call is not running from now on.
    pub(super) fn pause(&self) {
        let used = self.meter.used(Instant::now()).as_nanos() as u64;
        self.meter.used.store(used, Ordering::Relaxed);
    }
}

impl Meter {
    fn since_origin(&self, now: Instant) -> u64 {
        now.saturating_duration_since(self.origin).as_nanos() as u64
    }

    fn used(&self, now: Instant) -> Duration {
        let running = self.since_origin(now).saturating_sub(self.resumed.load(Ordering::Relaxed));
        Duration::from_nanos(self.used.load(Ordering::Relaxed).saturating_add(running))
    }
}

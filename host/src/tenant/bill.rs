//! CPU time: what a thread has used, and what a call's work elsewhere has cost.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

/// The CPU time of a call's statements, until somebody asks for it. A clone is the same bill.
#[derive(Clone, Debug, Default)]
pub struct Bill(Arc<AtomicU64>);

impl Bill {
    /// Notes so much more.
    pub(super) fn add(&self, time: Duration) {
        self.0.fetch_add(time.as_nanos() as u64, Ordering::Relaxed);
    }

    /// What was noted since it was last asked for.
    pub fn take(&self) -> Duration {
        Duration::from_nanos(self.0.swap(0, Ordering::Relaxed))
    }
}

/// CPU time that the present thread has used.
pub fn thread_time() -> Duration {
    let time = clock_gettime(ClockId::ThreadCPUTime);
    Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec.unsigned_abs() as u32)
}

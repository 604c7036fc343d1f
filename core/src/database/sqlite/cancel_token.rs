//! Cancellation of jobs that have no caller any more.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

/// State of a job: waiting, running or cancelled. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct CancelToken(Arc<AtomicU8>);

const WAITING: u8 = 0;
const RUNNING: u8 = 1;
const CANCELLED: u8 = 2;

impl CancelToken {
    /// Starts the job. Returns false if it was cancelled.
    pub(super) fn start(&self) -> bool {
        self.0.compare_exchange(WAITING, RUNNING, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Cancels a job that has not started. Returns false if it has.
    pub(super) fn cancel_if_waiting(&self) -> bool {
        self.0.compare_exchange(WAITING, CANCELLED, Ordering::AcqRel, Ordering::Acquire).is_ok()
    }

    /// Cancels the job in any state.
    pub(super) fn cancel(&self) {
        self.0.store(CANCELLED, Ordering::Release);
    }

    /// True if the job was cancelled.
    pub(super) fn is_cancelled(&self) -> bool {
        self.0.load(Ordering::Acquire) == CANCELLED
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn job_can_be_cancelled_before_and_after_its_start() {
        let (waiting, running) = (CancelToken::default(), CancelToken::default());
        assert!(waiting.cancel_if_waiting() && !waiting.start());
        assert!(running.start() && !running.cancel_if_waiting() && !running.is_cancelled());
        running.cancel();
        assert!(running.is_cancelled());
    }
}

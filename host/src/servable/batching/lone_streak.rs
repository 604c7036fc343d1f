//! Predicts whether several requests arrive together, so that the leader of a batch should yield
//! once.
//!
//! A yield costs a turn of the runtime: some tens of microseconds without other work, as much as
//! the whole call of a small model. After a streak of batches with one request, the leader
//! therefore yields only now and then.

use std::sync::atomic::{AtomicU32, Ordering};

/// After this many batches of one request in a row, the next is expected to be of one request too.
const STREAK: u32 = 8;

/// One in this many leaders yields even then. Otherwise concurrent requests would never be
/// detected.
const YIELD_INTERVAL: u32 = 16;

/// The number of consecutive batches of one request.
#[derive(Default)]
pub(super) struct LoneStreak(AtomicU32);

impl LoneStreak {
    /// True if the leader should yield.
    pub(super) fn should_yield(&self) -> bool {
        let alone = self.0.load(Ordering::Relaxed);
        alone < STREAK || alone.is_multiple_of(YIELD_INTERVAL)
    }

    /// Records the number of requests in a batch.
    pub(super) fn record(&self, together: usize) {
        if together > 1 {
            self.0.store(0, Ordering::Relaxed);
        } else {
            // Wraps around after 2^32 batches, which is harmless.
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lone_streak_yields_seldom_and_a_batch_resets_it() {
        let streak = LoneStreak::default();
        let yields = (0..1000).filter(|_| {
            let yields = streak.should_yield();
            streak.record(1);
            yields
        });
        assert_eq!(yields.count() as u32, STREAK + 1000 / YIELD_INTERVAL);
        streak.record(2);
        assert!((0..STREAK).all(|_| {
            let yields = streak.should_yield();
            streak.record(1);
            yields
        }));
    }
}

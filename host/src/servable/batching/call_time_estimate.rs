//! A moving average of the time that calls take, to detect calls that take too long because of one
//! bad item.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// The weight of the newest call is one in this many.
const SMOOTHING: u64 = 8;

/// Average nanoseconds for each item of successful calls; 0 before the first.
#[derive(Default)]
pub(super) struct CallTimeEstimate(AtomicU64);

impl CallTimeEstimate {
    /// Records a successful call with `items` items.
    pub(super) fn record(&self, items: usize, took: Duration) {
        let each = (took.as_nanos() as u64 / items.max(1) as u64).max(1);
        let before = self.0.load(Ordering::Relaxed);
        // Concurrent updates may overwrite each other, which is harmless.
        let after = if before == 0 { each } else { before - before / SMOOTHING + each / SMOOTHING };
        self.0.store(after.max(1), Ordering::Relaxed);
    }

    /// Returns the estimated time of a call with `items` items, as the sum of their times; `None`
    /// before the first call.
    pub(super) fn estimate(&self, items: usize) -> Option<Duration> {
        let each = self.0.load(Ordering::Relaxed);
        (each > 0).then(|| Duration::from_nanos(each.saturating_mul(items as u64)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_estimate_follows_the_calls() {
        let usual = CallTimeEstimate::default();
        assert_eq!(usual.estimate(1), None);
        usual.record(4, Duration::from_micros(400));
        assert_eq!(usual.estimate(3), Some(Duration::from_micros(300)));
        (0..100).for_each(|_| usual.record(1, Duration::from_micros(10)));
        let one = usual.estimate(1).unwrap();
        assert!(one < Duration::from_micros(12) && one > Duration::from_micros(8), "{one:?}");
        assert!(usual.estimate(usize::MAX).is_some());
    }
}

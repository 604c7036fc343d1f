//! Rate limit of scans while files change continuously.
//!
//! A scan covers the whole repository, so its cost grows with the size of the repository and not
//! with the change. After a quiet period the next change is scanned at once; during continuous
//! changes, scans take a small share of the time, unless a single one is so long that [`MAX_WAIT`]
//! bounds the pause after it.

use std::time::{Duration, Instant};

/// Continuous scans take 1/20 of the time, if one takes up to 100 ms. The pause after longer ones
/// is [`MAX_WAIT`].
const SHARE_DIVISOR: u32 = 20;
/// Scan time available at once after a quiet period. A dropped file takes two or three scans.
const BURST: Duration = Duration::from_millis(250);
/// Maximum delay of a scan. A scan that reads large files is long only once.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// A time allowance for scans that refills as time passes.
#[derive(Debug)]
pub(super) struct ScanRateLimiter {
    /// Remaining allowance.
    available: Duration,
    /// Time spent beyond the allowance.
    debt: Duration,
    /// Time at which both values were computed.
    updated_at: Instant,
}

impl ScanRateLimiter {
    pub(super) fn new(now: Instant) -> Self {
        ScanRateLimiter { available: BURST, debt: Duration::ZERO, updated_at: now }
    }

    /// Records a scan of this duration that ends now. Returns the instant at which the next may
    /// begin.
    pub(super) fn record(&mut self, duration: Duration, now: Instant) -> Instant {
        let refill = now.saturating_duration_since(self.updated_at) / SHARE_DIVISOR;
        // The refill repays the debt first, then fills the allowance.
        let available = (self.available + refill.saturating_sub(self.debt)).min(BURST);
        let debt = self.debt.saturating_sub(refill) + duration.saturating_sub(available);

        *self = ScanRateLimiter {
            available: available.saturating_sub(duration),
            debt: debt.min(MAX_WAIT / SHARE_DIVISOR),
            updated_at: now,
        };

        now + self.debt * SHARE_DIVISOR
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Returns the number of scans of that duration within this time, if changes never stop.
    fn scans_within(took: Duration, seconds: u64) -> u32 {
        let start = Instant::now();
        let mut limiter = ScanRateLimiter::new(start);
        let (mut now, mut count) = (start, 0);

        while now < start + Duration::from_secs(seconds) {
            now += took;
            count += 1;
            // The watch thread pauses at least this long between scans.
            now = limiter.record(took, now).max(now + Duration::from_millis(50));
        }

        count
    }

    #[test]
    fn continuous_changes_cost_a_twentieth_of_a_core() {
        for took in [5, 30, 90] {
            let spent = took * u64::from(scans_within(Duration::from_millis(took), 60));
            assert!(spent <= 250 + 60_000 / 20 + took, "{spent} ms for scans of {took} ms");
        }

        assert!(
            scans_within(Duration::from_millis(30), 10) <= 26,
            "without a rate limit it would be 125"
        );
    }

    #[test]
    fn short_scans_are_not_delayed() {
        assert!(scans_within(Duration::from_micros(500), 10) >= 190);
    }

    #[test]
    fn a_change_after_a_quiet_period_is_scanned_at_once() {
        let start = Instant::now();
        let mut pace = ScanRateLimiter::new(start);
        let look = Duration::from_millis(60);

        for second in [0, 10, 20, 30] {
            let mut now = start + Duration::from_secs(second);
            for _ in 0..3 {
                now += look;
                assert_eq!(pace.record(look, now), now);
            }
        }
    }

    #[test]
    fn a_long_scan_delays_the_next_by_a_bounded_time() {
        let now = Instant::now();
        assert_eq!(ScanRateLimiter::new(now).record(Duration::from_secs(600), now), now + MAX_WAIT);
    }
}

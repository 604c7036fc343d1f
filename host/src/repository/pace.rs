//! How often a repository is looked at while its files change without end.
//!
//! A look goes through the whole repository, so its cost grows with that and not with what has
//! changed. After a quiet while the next change is looked at straight away; while changes go on,
//! looks take a small share of the time.

use std::time::{Duration, Instant};

/// In the long run looks take one part in so many of the time.
const SHARE: u32 = 20;
/// Time for looks that may be spent at once after a quiet while: a file that is dropped takes two
/// or three looks.
const BURST: Duration = Duration::from_millis(250);
/// The longest that a change waits to be looked at. A look that has read large files takes long
/// once, and not again.
const MAX_WAIT: Duration = Duration::from_secs(2);

/// An allowance of time for looks, which grows with the time that passes.
#[derive(Debug)]
pub(super) struct Pace {
    /// What is left of it.
    left: Duration,
    /// What was spent beyond it.
    debt: Duration,
    /// When both were so.
    at: Instant,
}

impl Pace {
    pub(super) fn new(now: Instant) -> Self {
        Pace { left: BURST, debt: Duration::ZERO, at: now }
    }

    /// Notes a look that took so long and has ended now. Gives when the next may begin.
    pub(super) fn spend(&mut self, took: Duration, now: Instant) -> Instant {
        let grown = now.saturating_duration_since(self.at) / SHARE;
        let left = (self.left + grown.saturating_sub(self.debt)).min(BURST);
        let debt = self.debt.saturating_sub(grown) + took.saturating_sub(left);
        *self = Pace { left: left.saturating_sub(took), debt: debt.min(MAX_WAIT / SHARE), at: now };
        now + self.debt * SHARE
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// How many looks of that length are made within these seconds, if there is always something to
    /// look at.
    fn looks(took: Duration, seconds: u64) -> u32 {
        let start = Instant::now();
        let (mut pace, mut now, mut count) = (Pace::new(start), start, 0);
        while now < start + Duration::from_secs(seconds) {
            now += took;
            count += 1;
            // As the thread that looks does: it always pauses for a moment.
            now = pace.spend(took, now).max(now + Duration::from_millis(50));
        }
        count
    }

    #[test]
    fn changes_without_end_cost_a_twentieth_of_a_core() {
        for took in [5, 30, 90] {
            let spent = took * u64::from(looks(Duration::from_millis(took), 60));
            assert!(spent <= 250 + 60_000 / 20 + took, "{spent} ms for looks of {took} ms");
        }
        assert!(looks(Duration::from_millis(30), 10) <= 26, "without an allowance it would be 125");
    }

    #[test]
    fn short_looks_are_not_held_back() {
        assert!(looks(Duration::from_micros(500), 10) >= 190);
    }

    #[test]
    fn a_change_after_a_quiet_while_is_looked_at_at_once() {
        let start = Instant::now();
        let mut pace = Pace::new(start);
        let look = Duration::from_millis(60);
        for second in [0, 10, 20, 30] {
            let mut now = start + Duration::from_secs(second);
            for _ in 0..3 {
                now += look;
                assert_eq!(pace.spend(look, now), now);
            }
        }
    }

    #[test]
    fn a_long_look_holds_up_the_next_for_a_moment_only() {
        let now = Instant::now();
        assert_eq!(Pace::new(now).spend(Duration::from_secs(600), now), now + MAX_WAIT);
    }
}

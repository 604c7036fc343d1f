//! A limit on log lines about the versions of one tenant.

use std::time::Duration;

use tokio::time::Instant;

use crate::tenant::LogDecision;

/// Lines written in each period. The repository index covers every version.
const MAX_LINES: u32 = 100;
const PERIOD: Duration = Duration::from_secs(60);

/// Counts the log lines of one tenant.
pub(super) struct LogRateLimit {
    /// Start of the current period.
    since: Instant,
    count: u32,
}

impl LogRateLimit {
    pub(super) fn new() -> Self {
        LogRateLimit { since: Instant::now(), count: 0 }
    }

    /// Decides on one more line.
    pub(super) fn next(&mut self, now: Instant) -> LogDecision {
        if now.saturating_duration_since(self.since) >= PERIOD {
            *self = LogRateLimit { since: now, count: 0 };
        }

        self.count = self.count.saturating_add(1);
        match self.count {
            count if count <= MAX_LINES => LogDecision::Write,
            count if count == MAX_LINES + 1 => LogDecision::DropAndReport,
            _ => LogDecision::Drop,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_lines_of_a_period_are_written_and_one_notice() {
        let mut limit = LogRateLimit::new();
        let start = Instant::now();
        let decisions: Vec<_> = (0..1000).map(|_| limit.next(start)).collect();
        let count = |wanted| decisions.iter().filter(|decision| **decision == wanted).count();
        assert_eq!(
            (count(LogDecision::Write), count(LogDecision::DropAndReport)),
            (MAX_LINES as usize, 1)
        );
        assert_eq!(limit.next(start + PERIOD), LogDecision::Write);
    }
}

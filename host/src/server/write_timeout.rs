//! The time that a client has to take its response.

use std::time::{Duration, Instant};

/// The lowest rate at which a client must take its responses, in bytes per second. A slow mobile
/// connection reaches it.
const MIN_RATE: u32 = 16 << 10;

/// The remaining time of a client to take bytes. It runs only while the socket is full, so neither
/// a slow model nor a pause between requests uses it up. Each byte that is taken adds its time at
/// [`MIN_RATE`].
#[derive(Clone, Debug)]
pub(super) struct WriteTimeout {
    /// The upper bound of `left`.
    max: Duration,
    left: Duration,
    /// The time at which the socket became full. `None` if it is not full.
    blocked_since: Option<Instant>,
}

impl WriteTimeout {
    pub(super) fn new(max: Duration) -> Self {
        WriteTimeout { max, left: max, blocked_since: None }
    }

    /// Records that the socket is full.
    pub(super) fn on_blocked(&mut self, now: Instant) {
        self.blocked_since.get_or_insert(now);
    }

    /// Records that the socket has taken some bytes.
    pub(super) fn on_written(&mut self, bytes: usize, now: Instant) {
        if let Some(since) = self.blocked_since.take() {
            self.left = self.left.saturating_sub(now.saturating_duration_since(since));
        }
        self.left = self.left.saturating_add(time_for(bytes)).min(self.max);
    }

    /// The time at which the socket became full. `None` if it is not full.
    pub(super) fn blocked_since(&self) -> Option<Instant> {
        self.blocked_since
    }

    /// The time at which the client is cut off. `None` while the socket is not full.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.blocked_since.map(|since| since + self.left)
    }
}

/// The time for some bytes at the lowest rate.
pub(super) fn time_for(bytes: usize) -> Duration {
    Duration::from_secs(bytes as u64) / MIN_RATE
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const MOST: Duration = Duration::from_secs(30);

    /// The time until a client is cut off that takes `bytes` each second, up to an hour.
    fn lasts(bytes: usize) -> Duration {
        let start = Instant::now();
        let mut timeout = WriteTimeout::new(MOST);
        for second in 0..3600 {
            let now = start + second * SECOND;
            if timeout.deadline().is_some_and(|due| due <= now) {
                return second * SECOND;
            }
            if bytes > 0 {
                timeout.on_written(bytes, now);
            }
            timeout.on_blocked(now);
        }
        Duration::MAX
    }

    #[test]
    fn a_client_that_takes_nothing_or_too_little_is_cut_off_and_a_slow_one_is_not() {
        assert_eq!(lasts(0), MOST);
        assert!(lasts(1) < 2 * MOST);
        assert!(lasts(MIN_RATE as usize / 2) < 3 * MOST);
        assert_eq!(lasts(MIN_RATE as usize), Duration::MAX);
    }

    #[test]
    fn time_runs_only_while_the_socket_is_full() {
        let now = Instant::now();
        let mut timeout = WriteTimeout::new(MOST);
        assert_eq!(timeout.deadline(), None);
        timeout.on_written(1, now);
        assert_eq!(timeout.deadline(), None, "an hour later as well");
        timeout.on_blocked(now + 3600 * SECOND);
        assert_eq!(timeout.deadline(), Some(now + 3600 * SECOND + MOST));
    }

    proptest! {
        #[test]
        fn the_remaining_time_is_bounded_by_the_timeout_and_the_lowest_rate(
            steps in prop::collection::vec((0..40u64, 0..2_000_000usize), 1..50)
        ) {
            let start = Instant::now();
            let mut now = start;
            let mut taken = 0;
            let mut timeout = WriteTimeout::new(MOST);
            for (seconds, bytes) in steps {
                timeout.on_blocked(now);
                let due = timeout.deadline().unwrap();
                prop_assert!(due <= now + MOST && due <= start + MOST + time_for(taken));
                now += Duration::from_secs(seconds);
                if due <= now {
                    break;
                }
                timeout.on_written(bytes, now);
                taken += bytes;
            }
        }
    }
}

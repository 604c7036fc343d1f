//! Debounce of file changes: a file has settled once its stamp has stayed the same for the settle
//! time. Pure; the caller passes the clock.
//!
//! The clock is the host's monotonic one. A modification time is compared only with an earlier one
//! of the same file: it may lie in the future, come from another machine, or have been restored by
//! `cp -p` or `touch`.

use std::time::{Duration, Instant};

/// Identity, size and times of a file, which differ after every change. The time of the last status
/// change is included because, unlike the modification time, no program can set it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Stamp {
    pub(super) device: u64,
    pub(super) inode: u64,
    pub(super) size: u64,
    /// Time of the last modification, in seconds and nanoseconds.
    pub(super) modified: (i64, i64),
    /// Time of the last status change, in seconds and nanoseconds.
    pub(super) changed: (i64, i64),
}

/// The stamp of a path, and the instant since which it has been the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stability {
    pub(super) stamp: Stamp,
    pub(super) since: Instant,
}

impl Stability {
    /// Returns the state of a path that shows `stamp` now.
    pub(super) fn observe(previous: Option<Stability>, now: Instant, stamp: Stamp) -> Stability {
        match previous {
            Some(same) if same.stamp == stamp => same,
            _ => Stability { stamp, since: now },
        }
    }

    /// Returns the instant at which the path settles if it does not change before.
    pub(super) fn settles_at(&self, settle: Duration) -> Instant {
        self.since + settle
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTLE: Duration = Duration::from_millis(100);

    fn stamp(size: u64, modified: i64) -> Stamp {
        Stamp { device: 1, inode: 1, size, modified: (modified, 0), changed: (0, 0) }
    }

    /// Observes a file at these milliseconds. Returns those at which it had settled.
    fn settled(looks: &[(u64, Stamp)]) -> Vec<u64> {
        let start = Instant::now();
        let mut previous = None;
        let mut settled = Vec::new();

        for &(millis, stamp) in looks {
            let now = start + Duration::from_millis(millis);
            let look = Stability::observe(previous, now, stamp);
            if look.settles_at(SETTLE) <= now {
                settled.push(millis);
            }
            previous = Some(look);
        }

        settled
    }

    #[test]
    fn a_file_settles_once_it_was_unchanged_for_the_settle_time() {
        let same = stamp(1, 0);
        assert_eq!(
            settled(&[(0, same), (50, same), (99, same), (100, same), (500, same)]),
            [100, 500]
        );
    }

    #[test]
    fn a_file_is_never_settled_at_its_first_observation() {
        assert_eq!(settled(&[(0, stamp(1, -1_000_000))]), [0; 0]);
    }

    #[test]
    fn each_change_restarts_the_settle_time() {
        let looks = [(0, stamp(1, 0)), (90, stamp(2, 0)), (150, stamp(2, 0)), (190, stamp(2, 0))];
        assert_eq!(settled(&looks), [190]);
        let back_in_time =
            [(0, stamp(1, 9)), (100, stamp(1, 9)), (110, stamp(1, 3)), (210, stamp(1, 3))];
        assert_eq!(settled(&back_in_time), [100, 210]);
    }

    #[test]
    fn each_part_of_a_stamp_makes_a_difference() {
        let same = stamp(1, 0);
        for other in [
            Stamp { device: 2, ..same },
            Stamp { inode: 2, ..same },
            Stamp { size: 2, ..same },
            Stamp { modified: (0, 1), ..same },
            Stamp { changed: (0, 1), ..same },
        ] {
            assert_eq!(settled(&[(0, same), (100, other)]), [0; 0]);
        }
    }
}

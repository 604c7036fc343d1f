//! The versions to prune, as a function of a model's state.
//!
//! Everything is counted from the newest version that serves the content of the repository: newer
//! ones have failed, are being loaded or are not selected, and none of them proves that an older
//! one is no longer needed. So neither that version nor a newer one is ever pruned, and nothing is
//! pruned while no such version serves. Versions whose content has failed do not count as kept.
//!
//! A version that serves, loads, drains or changes is never pruned, and neither is one that the
//! settings name.

use std::time::{Duration, SystemTime};

use crate::model::{Retention, Version};

/// A version in the repository, as far as pruning depends on it.
#[derive(Clone, Debug)]
pub(super) struct StoredVersion {
    pub(super) version: Version,
    /// The repository holds a complete content, which has not failed.
    pub(super) is_usable: bool,
    /// It serves the content that the repository holds.
    pub(super) serves: bool,
    /// None of its contents serves, loads or drains, and its files do not change.
    pub(super) is_idle: bool,
    /// The settings of the model name it.
    pub(super) is_named: bool,
    /// Time at which its content was put into the repository; `None` if that is unknown.
    pub(super) placed_at: Option<SystemTime>,
}

/// The versions to prune.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct PrunePlan {
    /// The versions to prune now, the oldest first.
    pub(super) now: Vec<Version>,
    /// Time until the next version is to be pruned; `None` if no time matters.
    pub(super) next_in: Option<Duration>,
}

/// Returns the versions to prune. `versions` are those in the repository, the oldest first; `now`
/// is the time of the clock that `placed_at` was taken from.
pub(super) fn plan(versions: &[StoredVersion], retention: Retention, now: SystemTime) -> PrunePlan {
    let Some(newest) = versions.iter().rposition(|version| version.serves) else {
        return PrunePlan::default();
    };
    let (older, newer) = versions.split_at(newest);
    let Some(newest) = newer.first() else { return PrunePlan::default() };

    match retention {
        Retention::Newest(count) => by_count(older, count),
        Retention::Replaced(time) => by_time(older, newest, time, now),
    }
}

/// Keeps `count` versions with the newest serving one, and every version between them.
fn by_count(older: &[StoredVersion], count: u32) -> PrunePlan {
    let others = count.saturating_sub(1) as usize;
    let usable = |(index, version): (usize, &StoredVersion)| version.is_usable.then_some(index);
    let oldest_kept = match others {
        0 => older.len(),
        _ => older.iter().enumerate().filter_map(usable).rev().nth(others - 1).unwrap_or(0),
    };

    let old = older.iter().take(oldest_kept).filter(|version| is_prunable(version));
    PrunePlan { now: old.map(|version| version.version).collect(), next_in: None }
}

/// Keeps the versions whose next newer usable version was put into the repository less than `time`
/// ago.
fn by_time(
    older: &[StoredVersion],
    newest: &StoredVersion,
    time: Duration,
    now: SystemTime,
) -> PrunePlan {
    let mut plan = PrunePlan::default();
    let mut successor = newest;
    for version in older.iter().rev() {
        // A time in the future is that of a clock that goes wrong, and counts as now.
        let placed_at = successor.placed_at.unwrap_or(now);
        let replaced_for = now.duration_since(placed_at).unwrap_or_default();
        match time.checked_sub(replaced_for).filter(|left| !left.is_zero()) {
            _ if !is_prunable(version) => {}
            None => plan.now.push(version.version),
            Some(left) => plan.next_in = Some(plan.next_in.map_or(left, |next| next.min(left))),
        }
        if version.is_usable {
            successor = version;
        }
    }

    plan.now.reverse();
    plan
}

fn is_prunable(version: &StoredVersion) -> bool {
    version.is_idle && !version.serves && !version.is_named
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    fn at(hours: u32) -> SystemTime {
        SystemTime::UNIX_EPOCH + HOUR * hours
    }

    /// Versions 1, 2 and so on, one a word, each put into the repository in the hour of its number:
    /// `serves`, `idle`, `failed`, `busy` (loads or drains) or `named`.
    fn versions(words: &str) -> Vec<StoredVersion> {
        let version = |(number, word): (u32, &str)| StoredVersion {
            version: Version::new(number.into()).unwrap(),
            is_usable: word != "failed",
            serves: word == "serves",
            is_idle: !matches!(word, "serves" | "busy"),
            is_named: word == "named",
            placed_at: Some(at(number)),
        };
        (1..).zip(words.split(' ')).map(version).collect()
    }

    fn numbers(plan: &PrunePlan) -> Vec<u64> {
        plan.now.iter().map(|version| version.number()).collect()
    }

    fn keeping(count: u32, words: &str) -> Vec<u64> {
        numbers(&plan(&versions(words), Retention::Newest(count), at(0)))
    }

    /// Returns what is pruned in this hour, and in how many hours the next version is due.
    fn keeping_for(hours: u32, words: &str, hour: u32) -> (Vec<u64>, Option<u64>) {
        let plan = plan(&versions(words), Retention::Replaced(HOUR * hours), at(hour));
        (numbers(&plan), plan.next_in.map(|next| next.as_secs() / 3600))
    }

    #[test]
    fn the_newest_versions_are_kept() {
        assert_eq!(keeping(1, "idle idle serves"), [1, 2]);
        assert_eq!(keeping(2, "idle idle serves"), [1]);
        assert_eq!(keeping(3, "idle idle serves"), [0; 0]);
        assert_eq!(keeping(9, "idle idle serves"), [0; 0]);
        assert_eq!(keeping(2, "idle idle serves serves"), [1, 2]);
    }

    #[test]
    fn versions_newer_than_the_serving_one_neither_count_nor_go() {
        assert_eq!(keeping(2, "idle idle serves failed failed idle"), [1]);
        assert_eq!(keeping(1, "serves failed failed"), [0; 0]);
    }

    #[test]
    fn nothing_is_pruned_while_nothing_serves() {
        assert_eq!(keeping(1, "idle idle idle"), [0; 0]);
        assert_eq!(keeping(1, "failed failed"), [0; 0]);
        assert_eq!(plan(&[], Retention::Newest(1), at(0)), PrunePlan::default());
    }

    #[test]
    fn failed_versions_do_not_count_as_kept() {
        assert_eq!(keeping(2, "idle idle failed failed serves"), [1]);
        assert_eq!(keeping(1, "idle failed serves"), [1, 2]);
        assert_eq!(keeping(3, "failed idle failed serves"), [0; 0]);
    }

    #[test]
    fn versions_in_use_and_named_ones_stay() {
        assert_eq!(keeping(1, "idle busy named serves"), [1]);
        assert_eq!(keeping(1, "serves idle serves"), [2]);
    }

    #[test]
    fn replaced_versions_are_kept_for_a_time() {
        assert_eq!(keeping_for(2, "idle idle idle serves", 3), (vec![], Some(1)));
        assert_eq!(keeping_for(2, "idle idle idle serves", 4), (vec![1], Some(1)));
        assert_eq!(keeping_for(2, "idle idle idle serves", 5), (vec![1, 2], Some(1)));
        assert_eq!(keeping_for(2, "idle idle idle serves", 99), (vec![1, 2, 3], None));
        // A failed version replaces none.
        assert_eq!(keeping_for(2, "idle failed serves", 4), (vec![], Some(1)));
        assert_eq!(keeping_for(2, "idle failed serves", 5), (vec![1, 2], None));
    }

    #[test]
    fn a_clock_that_was_set_back_prunes_nothing() {
        assert_eq!(keeping_for(2, "idle idle serves", 0), (vec![], Some(2)));
    }

    fn stored() -> impl Strategy<Value = Vec<StoredVersion>> {
        let version = (any::<[bool; 4]>(), proptest::option::of(0u32..100));
        let version = version.prop_map(|([is_usable, serves, is_idle, is_named], placed)| {
            let placed_at = placed.map(at);
            let version = Version::new(1).unwrap();
            let (is_usable, is_idle) = (is_usable || serves, is_idle && !serves);
            StoredVersion { version, is_usable, serves, is_idle, is_named, placed_at }
        });
        proptest::collection::vec(version, 0..12).prop_map(|mut versions| {
            for (version, number) in versions.iter_mut().zip(1..) {
                version.version = Version::new(number).unwrap();
            }
            versions
        })
    }

    fn retention() -> impl Strategy<Value = Retention> {
        prop_oneof![
            (1u32..14).prop_map(Retention::Newest),
            (1u32..120).prop_map(|hours| Retention::Replaced(HOUR * hours)),
        ]
    }

    proptest! {
        #[test]
        fn only_idle_versions_older_than_the_newest_serving_one_go(
            versions in stored(), retention in retention(), hour in 0u32..200
        ) {
            let pruned = plan(&versions, retention, at(hour)).now;
            let newest = versions.iter().rfind(|version| version.serves);
            prop_assert!(newest.is_some() || pruned.is_empty());
            prop_assert!(pruned.is_sorted());

            for version in versions.iter().filter(|version| pruned.contains(&version.version)) {
                prop_assert!(version.is_idle && !version.serves && !version.is_named);
                prop_assert!(newest.is_some_and(|newest| version.version < newest.version));
            }
        }

        #[test]
        fn as_many_usable_versions_stay_as_are_to_be_kept(versions in stored(), count in 1u32..14) {
            let pruned = plan(&versions, Retention::Newest(count), at(0)).now;
            let newest = versions.iter().rfind(|version| version.serves);
            let counts = |version: &&StoredVersion| {
                version.is_usable && newest.is_some_and(|newest| version.version <= newest.version)
            };
            let before = versions.iter().filter(counts).count();
            let kept: Vec<_> = versions.iter().filter(|version| !pruned.contains(&version.version)).collect();
            let after = kept.iter().copied().filter(|version| counts(version)).count();
            prop_assert!(after >= before.min(count as usize));

            // The rest that could go has gone.
            let last = pruned.last().copied();
            let spared = kept.iter().filter(|version| is_prunable(version) && Some(version.version) < last);
            prop_assert_eq!(spared.count(), 0);
        }

        #[test]
        fn pruning_by_number_leaves_nothing_to_prune(versions in stored(), count in 1u32..14) {
            let first = plan(&versions, Retention::Newest(count), at(0)).now;
            let mut rest = versions;
            rest.retain(|version| !first.contains(&version.version));
            prop_assert_eq!(plan(&rest, Retention::Newest(count), at(0)), PrunePlan::default());
        }

        #[test]
        fn a_longer_time_or_an_earlier_clock_prunes_less(
            versions in stored(), hours in 1u32..120, more in 0u32..50, hour in 0u32..200, back in 0u32..200
        ) {
            let at_most = plan(&versions, Retention::Replaced(HOUR * hours), at(hour)).now;
            let longer = plan(&versions, Retention::Replaced(HOUR * (hours + more)), at(hour)).now;
            let earlier = plan(&versions, Retention::Replaced(HOUR * hours), at(hour.saturating_sub(back))).now;
            prop_assert!(longer.iter().all(|version| at_most.contains(version)));
            prop_assert!(earlier.iter().all(|version| at_most.contains(version)));
        }

        #[test]
        fn a_version_is_due_when_the_plan_says(versions in stored(), hours in 1u32..120, hour in 0u32..200) {
            let retention = Retention::Replaced(HOUR * hours);
            let before = plan(&versions, retention, at(hour));
            if let Some(next) = before.next_in {
                let just_before = plan(&versions, retention, at(hour) + next - Duration::from_secs(1));
                // Times that are unknown or in the future count as now.
                let known = versions.iter().all(|version| version.placed_at.is_some_and(|placed| placed <= at(hour)));
                prop_assert_eq!(&just_before.now, &before.now);
                prop_assert!(!known || plan(&versions, retention, at(hour) + next).now.len() > before.now.len());
            }
        }
    }
}

//! Protection against listings that have lost many versions: such a listing is accepted only after
//! a later one has confirmed the loss.
//!
//! Stores have answered with a part of their objects or with none, and credentials have been
//! narrowed by accident. None of that may unload serving versions.

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use super::listing::{ContentTag, ListedObject};
use super::sync_unit::{Files, SyncUnit};

/// A listing with many missing versions that awaits confirmation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct PendingShrink {
    /// Time of the first such listing.
    pub(super) since: Instant,
    /// The missing versions.
    pub(super) missing: BTreeSet<SyncUnit>,
}

/// Checks a listing; `before` is the result for the previous one. Returns `None` if the listing is
/// accepted. A listing that is not accepted is ignored as a whole, since the rest of it may be
/// wrong too.
pub(super) fn check_shrink(
    listed: &Files<ListedObject>,
    mirrored: &Files<ContentTag>,
    before: Option<PendingShrink>,
    now: Instant,
    wait: Duration,
) -> Option<PendingShrink> {
    if !has_shrunk(listed, mirrored) {
        return None;
    }

    let missing: BTreeSet<_> = mirrored
        .keys()
        .filter(|unit| unit.is_version() && !listed.contains_key(unit))
        .cloned()
        .collect();

    match before.filter(|pending| missing.is_subset(&pending.missing)) {
        Some(pending) if now.saturating_duration_since(pending.since) >= wait => None,
        Some(pending) => Some(pending),
        None => Some(PendingShrink { since: now, missing }),
    }
}

/// Returns true if less than half of the versions are left. Every complete listed version counts,
/// and also an incomplete one of a mirrored model, since its old version stays until then.
fn has_shrunk(listed: &Files<ListedObject>, mirrored: &Files<ContentTag>) -> bool {
    let before = mirrored.keys().filter(|unit| unit.is_version());
    let known: BTreeSet<_> = before.clone().map(SyncUnit::model).collect();
    let there =
        |(unit, files): &(&SyncUnit, &_)| unit.is_complete(files) || known.contains(unit.model());
    let now = listed.iter().filter(|(unit, _)| unit.is_version()).filter(there).count();
    2 * now < before.count()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::plan::tests::{listed, mirrored};
    use super::*;

    const WAIT: Duration = Duration::from_secs(60);

    fn bare(names: &str) -> Files<ListedObject> {
        let paths: Vec<_> = names.chars().map(|name| format!("{name}.wasm")).collect();
        listed(&paths.iter().map(|path| (path.as_str(), "1", 1, 0)).collect::<Vec<_>>())
    }

    /// Checks these listings, each with its time in seconds, against a mirror of the versions in
    /// `holds`. Returns for each if it was accepted.
    fn believed(holds: &str, listings: &[(u64, &str)]) -> Vec<bool> {
        let (start, mirrored) = (Instant::now(), mirrored(&bare(holds)));
        let mut pending = None;
        let judged = listings.iter().map(|&(second, names)| {
            pending = check_shrink(
                &bare(names),
                &mirrored,
                pending.take(),
                start + Duration::from_secs(second),
                WAIT,
            );
            pending.is_none()
        });

        judged.collect()
    }

    #[test]
    fn a_listing_that_shrinks_a_little_is_accepted() {
        assert_eq!(believed("", &[(0, ""), (1, "abc")]), [true, true]);
        assert_eq!(believed("abcd", &[(0, "ab"), (0, "abcde"), (0, "wxyz")]), [true, true, true]);
        assert_eq!(believed("a", &[(0, "b")]), [true], "one version took the place of another");
    }

    #[test]
    fn an_incomplete_version_counts_as_left_only_for_its_own_model() {
        let judged = |before, now| {
            check_shrink(
                &listed(&[(now, "1", 1, 0)]),
                &mirrored(&listed(&[(before, "1", 1, 0)])),
                None,
                Instant::now(),
                WAIT,
            )
        };

        assert_eq!(judged("a/1/model.wasm", "a/2/w.bin"), None);
        assert!(judged("a/1/model.wasm", "b/2/w.bin").is_some());
    }

    #[test]
    fn a_listing_that_shrinks_by_more_than_half_needs_confirmation() {
        assert_eq!(believed("abcd", &[(0, "a"), (59, "a"), (60, "a")]), [false, false, true]);
        assert_eq!(believed("a", &[(0, ""), (60, "")]), [false, true]);
    }

    #[test]
    fn only_versions_missing_from_every_listing_are_confirmed() {
        assert_eq!(
            believed("abcd", &[(0, "a"), (60, "b"), (119, "b"), (120, "b")]),
            [false, false, false, true]
        );

        assert_eq!(
            believed("abcd", &[(0, ""), (60, "a")]),
            [false, true],
            "less is missing than before"
        );

        assert_eq!(believed("abcd", &[(0, ""), (30, "abcd"), (60, "")]), [false, true, false]);
    }

    proptest! {
        #[test]
        fn no_single_listing_removes_more_than_half(have in "[a-h]{0,8}", sees in "[a-h]{0,8}") {
            let (listed, mirrored) = (bare(&sees), mirrored(&bare(&have)));
            let left = mirrored.keys().filter(|unit| listed.contains_key(unit)).count() + listed.keys().filter(|unit| !mirrored.contains_key(unit)).count();
            let verdict = check_shrink(&listed, &mirrored, None, Instant::now(), WAIT);
            prop_assert_eq!(verdict.is_none(), 2 * left >= mirrored.len());
        }
    }
}

//! The versions of a model that should serve, as a function of its state.
//!
//! The policy preserves availability: a version that serves is not unloaded for one that has not
//! been validated. It is stateless and idempotent. In particular
//! - a version that failed does not count, so the next older one takes its place, and a restart
//!   ends in the same state as the history before it;
//! - a version that is no longer wanted is unloaded only once every wanted version serves;
//! - if no present version can serve, the serving ones stay, unless they were deleted and no newer
//!   version is present;
//! - if the repository holds nothing of the model, all its versions are unloaded;
//! - a version that is deleted while it loads, or would be unloaded at once, is never published.

use crate::model::{Version, VersionPolicy};
use crate::repository::Digest;

/// The state of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct VersionSnapshot {
    pub(super) version: Version,
    /// The content of the repository under this number.
    pub(super) presence: Presence,
    /// The content that serves.
    pub(super) serving: Option<Digest>,
    /// The content that is being loaded.
    pub(super) loading: Option<Digest>,
    /// The content that failed and is not retried by itself.
    pub(super) failed: Option<Digest>,
}

/// The presence of a version in a repository.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Presence {
    /// A candidate with this digest.
    Candidate(Digest),
    /// Files that are still changing.
    Unsettled,
    /// Invalid files.
    Faulty,
    /// No files.
    Absent,
}

/// The operator's demand for a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Demand {
    Wanted,
    /// The model was unloaded on request, and not loaded on request since.
    Unwanted,
}

/// An action on one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Load the candidate of this version.
    Load(Version),
    /// Drain this version.
    Unload(Version),
}

/// Returns the next action for one model; `None` if there is nothing to do for now. `elsewhere` is
/// true if the model is present in a form without a version, such as a bare file that is being
/// written.
pub(super) fn next_action(
    known: &[VersionSnapshot],
    policy: &VersionPolicy,
    demand: Demand,
    elsewhere: bool,
) -> Option<Action> {
    let nothing_there = !elsewhere && known.iter().all(|one| one.presence == Presence::Absent);
    if demand == Demand::Unwanted || nothing_there {
        return known
            .iter()
            .find(|one| one.serving.is_some())
            .map(|one| Action::Unload(one.version));
    }

    let wanted = wanted_versions(known, policy);
    if let Some(one) = wanted.iter().find(|one| needs_load(one)) {
        return Some(Action::Load(one.version));
    }

    let deleted = deleted_to_unload(known, policy).filter(|_| wanted.is_empty() && !elsewhere);
    surplus(known, &wanted).next().or(deleted).map(Action::Unload)
}

/// A version that serves, was deleted, and has no candidate left to replace it. A newer version
/// that is present and invalid counts as a failed replacement and keeps it.
fn deleted_to_unload(known: &[VersionSnapshot], policy: &VersionPolicy) -> Option<Version> {
    let left = || {
        known.iter().filter(|one| one.presence != Presence::Absent && selects(policy, one.version))
    };
    let is_coming = left().any(|one| one.presence == Presence::Unsettled || one.loading.is_some());
    let newest = left().map(|one| one.version).max();
    let mut deleted =
        known.iter().filter(|one| one.serving.is_some() && one.presence == Presence::Absent);

    deleted
        .find(|one| !is_coming && newest.is_none_or(|newest| newest < one.version))
        .map(|one| one.version)
}

/// True if the version policy may want a version.
pub(super) fn selects(policy: &VersionPolicy, version: Version) -> bool {
    match policy {
        VersionPolicy::Latest(_) | VersionPolicy::All => true,
        VersionPolicy::Only(versions) => versions.contains(&version),
    }
}

/// True if a version that has been loaded should serve.
pub(super) fn may_publish(
    known: &[VersionSnapshot],
    policy: &VersionPolicy,
    demand: Demand,
    version: Version,
) -> bool {
    let as_if_live = |one: &VersionSnapshot| match one.version == version {
        true => VersionSnapshot { serving: one.loading, loading: None, ..*one },
        false => *one,
    };
    let there = known.iter().any(|one| one.version == version && one.presence != Presence::Absent);
    let known: Vec<_> = known.iter().map(as_if_live).collect();

    demand == Demand::Wanted
        && there
        && !surplus(&known, &wanted_versions(&known, policy)).any(|other| other == version)
}

/// Versions that serve and are not wanted, once every wanted version serves.
fn surplus<'a>(
    known: &'a [VersionSnapshot],
    wanted: &'a [&VersionSnapshot],
) -> impl Iterator<Item = Version> + 'a {
    let settled = !wanted.is_empty() && wanted.iter().all(|one| is_settled(one));
    let surplus = |one: &&VersionSnapshot| {
        one.serving.is_some() && !wanted.iter().any(|other| other.version == one.version)
    };
    known.iter().filter(move |one| settled && surplus(one)).map(|one| one.version)
}

/// The versions that should serve, newest first.
fn wanted_versions<'a>(
    known: &'a [VersionSnapshot],
    policy: &VersionPolicy,
) -> Vec<&'a VersionSnapshot> {
    let mut able: Vec<_> = known.iter().filter(|one| can_serve(one)).collect();
    able.sort_by_key(|one| std::cmp::Reverse(one.version));
    match policy {
        VersionPolicy::Latest(count) => able.truncate(*count as usize),
        VersionPolicy::All | VersionPolicy::Only(_) => {
            able.retain(|one| selects(policy, one.version))
        }
    }

    able
}

/// True if a version that is present serves or may serve.
fn can_serve(one: &VersionSnapshot) -> bool {
    match one.presence {
        // Other content may serve under the same number, and the serving content may be the one
        // that failed.
        Presence::Candidate(digest) => {
            one.failed != Some(digest) || one.serving.is_some_and(|serving| serving != digest)
        }
        Presence::Unsettled | Presence::Faulty => one.serving.is_some(),
        Presence::Absent => false,
    }
}

fn needs_load(one: &VersionSnapshot) -> bool {
    let Presence::Candidate(digest) = one.presence else { return false };
    one.serving != Some(digest) && one.failed != Some(digest) && one.loading.is_none()
}

/// True if a wanted version serves and needs no load for now.
fn is_settled(one: &VersionSnapshot) -> bool {
    one.serving.is_some() && one.loading.is_none() && !needs_load(one)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(name: &str) -> Digest {
        Digest::sha256(name.as_bytes())
    }

    /// A version in the shorthand `3 whole=b serving=a loading=b failed=c`; `changing` and `bad`
    /// stand for content that cannot be loaded.
    fn snapshot(text: &str) -> VersionSnapshot {
        let mut words = text.split(' ');
        let version = words.next().and_then(Version::parse).unwrap();
        let mut one = VersionSnapshot {
            version,
            presence: Presence::Absent,
            serving: None,
            loading: None,
            failed: None,
        };

        for word in words {
            match word.split_once('=') {
                Some(("whole", name)) => one.presence = Presence::Candidate(digest(name)),
                Some(("serving", name)) => one.serving = Some(digest(name)),
                Some(("loading", name)) => one.loading = Some(digest(name)),
                Some(("failed", name)) => one.failed = Some(digest(name)),
                None if word == "changing" => one.presence = Presence::Unsettled,
                None if word == "bad" => one.presence = Presence::Faulty,
                _ => panic!("{word}"),
            }
        }

        one
    }

    fn decide(versions: &[&str], policy: VersionPolicy) -> String {
        let known: Vec<_> = versions.iter().map(|text| snapshot(text)).collect();
        show(next_action(&known, &policy, Demand::Wanted, false))
    }

    fn show(action: Option<Action>) -> String {
        match action {
            Some(Action::Load(version)) => format!("load {version}"),
            Some(Action::Unload(version)) => format!("unload {version}"),
            None => "rest".into(),
        }
    }

    #[test]
    fn the_latest_version_replaces_the_one_before() {
        let latest = || VersionPolicy::Latest(1);
        assert_eq!(decide(&["1 whole=a"], latest()), "load 1");
        assert_eq!(decide(&["1 whole=a loading=a"], latest()), "rest");
        assert_eq!(decide(&["1 whole=a serving=a"], latest()), "rest");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b"], latest()), "load 2");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b loading=b"], latest()), "rest");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b serving=b"], latest()), "unload 1");
        assert_eq!(decide(&["1 whole=a", "2 whole=b serving=b"], latest()), "rest");
    }

    #[test]
    fn a_failed_version_is_replaced_by_the_one_before() {
        let latest = || VersionPolicy::Latest(1);
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b failed=b"], latest()), "rest");
        assert_eq!(decide(&["1 whole=a", "2 whole=b failed=b"], latest()), "load 1");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=c failed=b"], latest()), "load 2");
        assert_eq!(decide(&["1 serving=a", "2 whole=b failed=b"], latest()), "rest");
        assert_eq!(decide(&["1 serving=a", "2 whole=b"], latest()), "load 2");
    }

    #[test]
    fn a_version_that_fails_while_serving_stays_until_it_is_replaced() {
        let latest = || VersionPolicy::Latest(1);
        let failing = "2 whole=b serving=b failed=b";
        assert_eq!(decide(&["1 whole=a", failing], latest()), "load 1");
        assert_eq!(decide(&["1 whole=a loading=a", failing], latest()), "rest");
        assert_eq!(decide(&["1 whole=a serving=a", failing], latest()), "unload 2");
        assert_eq!(decide(&["1 whole=a failed=a", failing], latest()), "rest");
        assert_eq!(decide(&[failing], latest()), "rest");
        assert_eq!(decide(&["2 whole=c serving=b failed=b"], latest()), "load 2");
    }

    #[test]
    fn content_replaced_in_place_is_loaded_beside_the_serving_one() {
        let latest = || VersionPolicy::Latest(1);
        assert_eq!(decide(&["1 whole=b serving=a"], latest()), "load 1");
        assert_eq!(decide(&["1 whole=b serving=a loading=b"], latest()), "rest");
        assert_eq!(decide(&["1 whole=b serving=a failed=b"], latest()), "rest");
        assert_eq!(decide(&["1 whole=c serving=a loading=b"], latest()), "rest");
        assert_eq!(decide(&["1 bad serving=a"], latest()), "rest");
    }

    #[test]
    fn a_deleted_version_is_unloaded_and_a_damaged_one_stays() {
        let latest = || VersionPolicy::Latest(1);
        assert_eq!(decide(&["1 serving=a"], latest()), "unload 1");
        assert_eq!(decide(&["1 serving=a", "2 bad"], latest()), "rest");
        assert_eq!(decide(&["1 serving=a", "2 bad serving=b"], latest()), "unload 1");
        let bare = [snapshot("1 serving=a")];
        assert_eq!(show(next_action(&bare, &latest(), Demand::Wanted, true)), "rest");
    }

    #[test]
    fn a_deleted_newest_version_serves_until_the_others_are_decided() {
        let latest = || VersionPolicy::Latest(1);
        let deleted = "2 serving=b";
        assert_eq!(decide(&["1 whole=a", deleted], latest()), "load 1");
        assert_eq!(decide(&["1 whole=a loading=a", deleted], latest()), "rest");
        assert_eq!(decide(&["1 whole=a serving=a", deleted], latest()), "unload 2");
        assert_eq!(decide(&["1 whole=a failed=a", deleted], latest()), "unload 2");
        assert_eq!(decide(&["1 changing", deleted], latest()), "rest");
        assert_eq!(decide(&["1 bad", deleted], latest()), "unload 2");
        assert_eq!(decide(&["1 bad", deleted, "3 serving=c"], latest()), "unload 2");
        assert_eq!(decide(&["1 bad", "2 whole=b", "3 serving=c"], latest()), "load 2");
        assert_eq!(
            decide(&["1 bad", "2 whole=b failed=b", "3 serving=c"], VersionPolicy::Latest(2)),
            "unload 3"
        );
        assert_eq!(
            decide(&["1 bad", "2 whole=b serving=b", "3 serving=c"], VersionPolicy::All),
            "unload 3"
        );
    }

    #[test]
    fn a_deleted_version_is_kept_by_a_newer_invalid_one_that_is_wanted() {
        let latest = || VersionPolicy::Latest(1);
        assert_eq!(decide(&["1 serving=a", "2 whole=b failed=b"], latest()), "rest");
        assert_eq!(decide(&["1 serving=a", "2 bad"], latest()), "rest");
        assert_eq!(decide(&["1 serving=a", "2 changing"], latest()), "rest");
        assert_eq!(decide(&["1 whole=a failed=a", "2 serving=b", "3 bad"], latest()), "rest");

        let only = |version| VersionPolicy::Only(vec![Version::new(version).unwrap()]);
        assert_eq!(decide(&["1 whole=a", "2 serving=b", "3 whole=c"], only(2)), "unload 2");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b"], only(7)), "rest");

        let bare = [snapshot("1 bad"), snapshot("2 serving=b")];
        assert_eq!(show(next_action(&bare, &latest(), Demand::Wanted, true)), "rest");
    }

    #[test]
    fn several_versions_can_be_wanted() {
        let two = || VersionPolicy::Latest(2);
        assert_eq!(decide(&["1 whole=a", "2 whole=b", "3 whole=c"], two()), "load 3");
        assert_eq!(
            decide(&["1 whole=a serving=a", "2 whole=b serving=b", "3 whole=c loading=c"], two()),
            "rest"
        );
        assert_eq!(
            decide(&["1 whole=a serving=a", "2 whole=b serving=b", "3 whole=c serving=c"], two()),
            "unload 1"
        );
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b"], VersionPolicy::All), "load 2");

        let only = VersionPolicy::Only(vec![Version::new(1).unwrap()]);
        assert_eq!(decide(&["1 whole=a", "2 whole=b serving=b"], only.clone()), "load 1");
        assert_eq!(decide(&["1 whole=a serving=a", "2 whole=b serving=b"], only), "unload 2");
    }

    #[test]
    fn a_loaded_version_is_published_unless_it_would_be_unloaded_at_once() {
        let decide = |versions: &[&str], demand| {
            let known: Vec<_> = versions.iter().map(|text| snapshot(text)).collect();
            may_publish(&known, &VersionPolicy::Latest(1), demand, Version::new(2).unwrap())
        };
        let serving = "1 whole=a serving=a";
        for (versions, expected) in [
            (&[serving, "2 whole=b loading=b"][..], true),
            (&[serving, "2 loading=b"], false),
            (&["2 loading=b"], false),
            (&["1 whole=a", "2 loading=b"], false),
            (&[serving, "2 whole=c loading=b"], true),
            (&[serving, "2 bad loading=b"], true),
            (&[serving, "2 whole=b loading=b", "3 whole=c loading=c"], true),
            (&[serving, "2 whole=b loading=b", "3 whole=c serving=c"], false),
            (&[serving, "2 whole=b loading=b", "3 whole=c failed=c"], true),
        ] {
            assert_eq!(decide(versions, Demand::Wanted), expected, "{versions:?}");
            assert!(!decide(versions, Demand::Unwanted), "{versions:?}");
        }
    }

    #[test]
    fn an_unwanted_model_is_unloaded() {
        let one = [snapshot("1 whole=a serving=a")];
        let latest = VersionPolicy::Latest(1);
        assert_eq!(show(next_action(&one, &latest, Demand::Unwanted, false)), "unload 1");
        let none = [snapshot("1 whole=a")];
        assert_eq!(show(next_action(&none, &latest, Demand::Unwanted, false)), "rest");
    }
}

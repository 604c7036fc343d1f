//! The versions of a model that should serve, as a function of its state.
//!
//! The policy preserves availability: a version that serves is not unloaded for one that has not
//! been validated. It is stateless and idempotent. In particular
//! - content that failed does not count: if other content serves under its number, that stays, else
//!   the next older version takes its place. A restart ends in the same state, apart from content
//!   that stays only because it serves already;
//! - a version that is no longer wanted is unloaded only once every wanted version serves;
//! - if no present version can serve, the serving ones stay. A deleted one goes once no selected
//!   version is unsettled or loading, and neither a newer selected version nor an unversioned file
//!   is present;
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
    /// The content that failed and is not retried automatically.
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
    Invalid,
    /// No files.
    Absent,
}

/// The last request of the operator to load or unload a model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum OperatorIntent {
    Serve,
    /// The model was unloaded on request, and not loaded on request since.
    Unload,
}

/// The next step for one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Load the candidate of this version.
    Load(Version),
    /// Drain and unload this version.
    Unload(Version),
}

/// Returns the next action for one model; `None` if there is nothing to do for now. `unversioned`
/// is true if the model is present in a form without a version, such as a bare file that is being
/// written.
pub(super) fn next_action(
    versions: &[VersionSnapshot],
    policy: &VersionPolicy,
    demand: OperatorIntent,
    unversioned: bool,
) -> Option<Action> {
    let nothing_present =
        !unversioned && versions.iter().all(|snapshot| snapshot.presence == Presence::Absent);
    if demand == OperatorIntent::Unload || nothing_present {
        return versions
            .iter()
            .find(|snapshot| snapshot.serving.is_some())
            .map(|snapshot| Action::Unload(snapshot.version));
    }

    let wanted = wanted_versions(versions, policy);
    if let Some(snapshot) = wanted.iter().find(|snapshot| needs_load(snapshot)) {
        return Some(Action::Load(snapshot.version));
    }

    let deleted = deleted_to_unload(versions, policy).filter(|_| wanted.is_empty() && !unversioned);
    surplus(versions, &wanted).next().or(deleted).map(Action::Unload)
}

/// Returns a version that serves, was deleted, and can go: no selected version is unsettled or
/// loading, and no newer one is present. A newer version that is invalid counts as a failed
/// replacement and keeps it.
fn deleted_to_unload(versions: &[VersionSnapshot], policy: &VersionPolicy) -> Option<Version> {
    let present_and_selected = || {
        versions.iter().filter(|snapshot| {
            snapshot.presence != Presence::Absent && selects(policy, snapshot.version)
        })
    };
    let is_pending = present_and_selected()
        .any(|snapshot| snapshot.presence == Presence::Unsettled || snapshot.loading.is_some());
    if is_pending {
        return None;
    }

    let newest = present_and_selected().map(|snapshot| snapshot.version).max();
    versions
        .iter()
        .filter(|snapshot| snapshot.serving.is_some() && snapshot.presence == Presence::Absent)
        .map(|snapshot| snapshot.version)
        .find(|&deleted| newest.is_none_or(|newest| newest < deleted))
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
    versions: &[VersionSnapshot],
    policy: &VersionPolicy,
    demand: OperatorIntent,
    version: Version,
) -> bool {
    let as_if_published = |snapshot: &VersionSnapshot| match snapshot.version == version {
        true => VersionSnapshot { serving: snapshot.loading, loading: None, ..*snapshot },
        false => *snapshot,
    };
    let present = versions
        .iter()
        .any(|snapshot| snapshot.version == version && snapshot.presence != Presence::Absent);
    let versions: Vec<_> = versions.iter().map(as_if_published).collect();

    demand == OperatorIntent::Serve
        && present
        && !surplus(&versions, &wanted_versions(&versions, policy)).any(|other| other == version)
}

/// Versions that serve and are not wanted, once every wanted version serves.
fn surplus<'a>(
    versions: &'a [VersionSnapshot],
    wanted: &'a [&VersionSnapshot],
) -> impl Iterator<Item = Version> + 'a {
    let settled = !wanted.is_empty() && wanted.iter().all(|snapshot| is_settled(snapshot));
    let is_surplus = |snapshot: &&VersionSnapshot| {
        snapshot.serving.is_some() && !wanted.iter().any(|other| other.version == snapshot.version)
    };
    versions
        .iter()
        .filter(move |snapshot| settled && is_surplus(snapshot))
        .map(|snapshot| snapshot.version)
}

/// The versions that should serve, newest first.
fn wanted_versions<'a>(
    versions: &'a [VersionSnapshot],
    policy: &VersionPolicy,
) -> Vec<&'a VersionSnapshot> {
    let mut able: Vec<_> = versions.iter().filter(|snapshot| can_serve(snapshot)).collect();
    able.sort_by_key(|snapshot| std::cmp::Reverse(snapshot.version));
    match policy {
        VersionPolicy::Latest(count) => able.truncate(*count as usize),
        VersionPolicy::All | VersionPolicy::Only(_) => {
            able.retain(|snapshot| selects(policy, snapshot.version))
        }
    }

    able
}

/// True if a version that is present serves or may serve.
fn can_serve(snapshot: &VersionSnapshot) -> bool {
    match snapshot.presence {
        // Other content may serve under the same number, and the serving content may be the one
        // that failed.
        Presence::Candidate(digest) => {
            snapshot.failed != Some(digest)
                || snapshot.serving.is_some_and(|serving| serving != digest)
        }
        Presence::Unsettled | Presence::Invalid => snapshot.serving.is_some(),
        Presence::Absent => false,
    }
}

fn needs_load(snapshot: &VersionSnapshot) -> bool {
    let Presence::Candidate(digest) = snapshot.presence else { return false };
    snapshot.serving != Some(digest)
        && snapshot.failed != Some(digest)
        && snapshot.loading.is_none()
}

/// True if a wanted version serves and needs no load for now.
fn is_settled(snapshot: &VersionSnapshot) -> bool {
    snapshot.serving.is_some() && snapshot.loading.is_none() && !needs_load(snapshot)
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
        let mut snapshot = VersionSnapshot {
            version,
            presence: Presence::Absent,
            serving: None,
            loading: None,
            failed: None,
        };

        for word in words {
            match word.split_once('=') {
                Some(("whole", name)) => snapshot.presence = Presence::Candidate(digest(name)),
                Some(("serving", name)) => snapshot.serving = Some(digest(name)),
                Some(("loading", name)) => snapshot.loading = Some(digest(name)),
                Some(("failed", name)) => snapshot.failed = Some(digest(name)),
                None if word == "changing" => snapshot.presence = Presence::Unsettled,
                None if word == "bad" => snapshot.presence = Presence::Invalid,
                _ => panic!("{word}"),
            }
        }

        snapshot
    }

    fn decide(versions: &[&str], policy: VersionPolicy) -> String {
        let versions: Vec<_> = versions.iter().map(|text| snapshot(text)).collect();
        show(next_action(&versions, &policy, OperatorIntent::Serve, false))
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
        assert_eq!(show(next_action(&bare, &latest(), OperatorIntent::Serve, true)), "rest");
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
        assert_eq!(show(next_action(&bare, &latest(), OperatorIntent::Serve, true)), "rest");
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
            let versions: Vec<_> = versions.iter().map(|text| snapshot(text)).collect();
            may_publish(&versions, &VersionPolicy::Latest(1), demand, Version::new(2).unwrap())
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
            assert_eq!(decide(versions, OperatorIntent::Serve), expected, "{versions:?}");
            assert!(!decide(versions, OperatorIntent::Unload), "{versions:?}");
        }
    }

    #[test]
    fn an_unwanted_model_is_unloaded() {
        let versions = [snapshot("1 whole=a serving=a")];
        let latest = VersionPolicy::Latest(1);
        assert_eq!(
            show(next_action(&versions, &latest, OperatorIntent::Unload, false)),
            "unload 1"
        );
        let none = [snapshot("1 whole=a")];
        assert_eq!(show(next_action(&none, &latest, OperatorIntent::Unload, false)), "rest");
    }
}

//! The faults that are still there, by rule and part of the workspace. A count may only shrink.

use std::collections::BTreeMap;

use super::source::area;
use super::{STALE, Violation};

/// A rule, a part of the workspace, and the faults it may have.
type Entry = (&'static str, &'static str, usize);

const BASELINE: &[Entry] = &[
    ("comment-width", "guest-models", 8),
    ("comment-width", "host/src/api", 1),
    ("comment-width", "host/src/files", 1),
    ("comment-width", "host/src/journal", 1),
    ("comment-width", "host/src/repository", 1),
    ("comment-width", "host/src/servable", 1),
    ("comment-width", "host/src/tenant", 1),
    ("comment-width", "tests", 3),
    ("doc-opening", "tests", 3),
    ("words", "host/src/capability", 1),
    ("words", "host/src/config", 11),
    ("words", "host/src/database", 9),
    ("words", "host/src/dataplane", 4),
    ("words", "host/src/engine", 3),
    ("words", "host/src/journal", 1),
    ("words", "host/src/lifecycle", 4),
    ("words", "host/src/model", 1),
    ("words", "host/src/repository", 16),
    ("words", "host/src/servable", 19),
    ("words", "host/src/store", 1),
    ("words", "host/src/tenant", 27),
];

/// Removes the faults that the baseline allows. Adds one for each part with fewer faults than it
/// allows.
pub(super) fn apply(violations: Vec<Violation>) -> Vec<Violation> {
    compare(violations, BASELINE)
}

fn compare(violations: Vec<Violation>, baseline: &[Entry]) -> Vec<Violation> {
    let mut groups: BTreeMap<(&str, String), Vec<Violation>> = BTreeMap::new();
    for violation in violations {
        let key = (violation.rule, area(&violation.path).to_owned());
        groups.entry(key).or_default().push(violation);
    }

    let mut left = Vec::new();
    for &(rule, area, allowed) in baseline {
        let found = groups.remove(&(rule, area.to_owned())).unwrap_or_default();
        if found.len() < allowed {
            left.push(Violation {
                path: "xtask/src/tidy/baseline.rs".into(),
                line: 1,
                rule: STALE,
                text: format!(
                    "{area} has {} faults of the rule {rule} by now; lower its {allowed}",
                    found.len()
                ),
            });
        }
        if found.len() > allowed {
            left.extend(found);
        }
    }
    left.extend(groups.into_values().flatten());
    left
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fault(path: &str) -> Violation {
        Violation { path: path.into(), line: 1, rule: "rule", text: String::new() }
    }

    fn paths(count: usize, allowed: usize) -> Vec<String> {
        let faults = vec![fault("host/src/a/b.rs"); count];
        let left = compare(faults, &[("rule", "host/src/a", allowed)]);
        left.into_iter().map(|violation| violation.path).collect()
    }

    #[test]
    fn a_count_may_only_shrink_and_shrinks_with_the_faults() {
        assert_eq!(paths(2, 2), [""; 0]);
        assert_eq!(paths(3, 2), ["host/src/a/b.rs"; 3]);
        assert_eq!(paths(1, 2), ["xtask/src/tidy/baseline.rs"]);
        assert_eq!(compare(vec![fault("host/src/a.rs")], &[]).len(), 1);
    }
}

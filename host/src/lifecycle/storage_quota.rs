//! Candidates that exceed their tenant's storage quota.

use std::collections::BTreeSet;

use crate::model::{ModelName, Version};
use crate::repository::{AspiredVersions, Candidate, Observed};

/// Bytes of all candidates in a repository, without those that exceed the quota.
pub(super) fn stored_size(
    aspired: &AspiredVersions,
    beyond: &BTreeSet<(ModelName, Version)>,
) -> u64 {
    let fits =
        |candidate: &&Candidate| !beyond.contains(&(candidate.name.clone(), candidate.version));
    candidates(aspired).filter(fits).map(Candidate::size).sum()
}

/// The candidates that do not fit into `limit` bytes when the oldest are taken first. The result
/// depends on the content of the repository alone, so a restart ends in the same state as the
/// history before it.
pub(super) fn over_quota(aspired: &AspiredVersions, limit: u64) -> BTreeSet<(ModelName, Version)> {
    let mut by_age: Vec<_> = candidates(aspired).collect();
    by_age.sort_by_key(|candidate| (candidate.changed_at, &candidate.name, candidate.version));

    let mut taken = 0u64;
    let too_much = by_age.into_iter().filter(|candidate| {
        let with_it = taken.saturating_add(candidate.size());
        let fits = with_it <= limit;
        // A candidate that does not fit takes nothing from those after it.
        taken = if fits { with_it } else { taken };
        !fits
    });

    too_much.map(|candidate| (candidate.name.clone(), candidate.version)).collect()
}

fn candidates(aspired: &AspiredVersions) -> impl Iterator<Item = &Candidate> {
    aspired.observed.iter().filter_map(|seen| match seen {
        Observed::Candidate(candidate) => Some(candidate),
        Observed::Unsettled { .. } | Observed::Faulty { .. } | Observed::Missing { .. } => None,
    })
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::files::ConfinedFile;
    use crate::model::{ModelSettings, TenantName};
    use crate::repository::Digest;

    fn candidate(name: &str, size: u64, changed: i64) -> Observed {
        Observed::Candidate(Candidate {
            name: ModelName::new(name).unwrap(),
            version: Version::new(1).unwrap(),
            component: ConfinedFile::from_path(&Path::new("/").join(name)).unwrap().into(),
            component_digest: Digest::sha256(b""),
            component_size: size,
            changed_at: (changed, 0),
            sidecars: Vec::new(),
            golden: None,
            settings: ModelSettings::default().into(),
            live: Default::default(),
            digest: Digest::sha256(b""),
        })
    }

    #[test]
    fn the_oldest_candidates_that_fit_are_kept() {
        let mut aspired = AspiredVersions::empty(TenantName::default_tenant());
        aspired.observed = vec![
            candidate("a", 40, 3),
            candidate("b", 50, 1),
            candidate("c", 30, 2),
            candidate("d", 10, 4),
        ];

        let names = |limit| {
            over_quota(&aspired, limit)
                .into_iter()
                .map(|(name, _)| name.to_string())
                .collect::<Vec<_>>()
        };
        assert_eq!(stored_size(&aspired, &over_quota(&aspired, 130)), 130);
        assert_eq!(stored_size(&aspired, &over_quota(&aspired, 60)), 60);
        assert_eq!(names(130), [""; 0]);
        assert_eq!(names(100), ["a"]);
        assert_eq!(names(60), ["a", "c"]);
        assert_eq!(names(0), ["a", "b", "c", "d"]);
    }
}

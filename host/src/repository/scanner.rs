//! State carried from one scan to the next: settled files, missing versions, reported messages.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::aspired::{Aspired, Degraded, Seen};
use super::contents::Contents;
use super::directory::DirectoryConfig;
use super::effort::Effort;
use super::notes::Notes;
use super::numbers::Numbers;
use super::root::{Root, RootError};
use super::scan::{Bound, Sight, scan};
use super::tree::{Place, Tree, plain};
use crate::model::{ModelName, Version};

/// Time after the start for which one continuously changing file may delay the first complete
/// announcement.
const FIRST_LOOK_PATIENCE: Duration = Duration::from_secs(10);

/// Number of files and folders that may be listed per allowed version. A version has a folder or
/// two and up to 64 sidecars.
const ENTRIES_EACH: usize = 100;

/// Scans one repository repeatedly.
pub(super) struct Scanner {
    root: Arc<Root>,
    settle: Duration,
    max_versions: usize,
    contents: Contents,
    /// Folder of the version numbers.
    state: PathBuf,
    /// The version numbers; `None` until they have been read.
    numbers: Option<Numbers>,
    began: Instant,
    aspired: Aspired,
    /// The versions of the last scan. The instant is set since the version went missing.
    present: BTreeMap<(ModelName, Version), Option<Instant>>,
    /// Device of the last root that was scanned.
    device: Option<u64>,
    notes: Notes,
}

/// The result of one scan, as announced.
pub(super) struct Look {
    pub(super) aspired: Aspired,
    /// The folders to watch.
    pub(super) folders: Vec<Place>,
    /// The latest instant of the next scan, at which an unsettled file may have settled.
    pub(super) due: Option<Instant>,
}

impl Scanner {
    pub(super) fn new(config: &DirectoryConfig, root: Arc<Root>, effort: Effort) -> Self {
        let DirectoryConfig { tenant, state, settle, max_versions, .. } = config.clone();
        Scanner {
            root,
            settle,
            max_versions: max_versions as usize,
            contents: Contents::new(settle, effort),
            state,
            numbers: None,
            began: Instant::now(),
            aspired: Aspired::nothing_yet(tenant),
            present: BTreeMap::new(),
            device: None,
            notes: Notes::default(),
        }
    }

    /// Scans the whole repository.
    pub(super) fn look(&mut self) -> Look {
        let tree = match self
            .root
            .open()
            .map(|root| Tree::new(root, self.max_versions.saturating_mul(ENTRIES_EACH)))
        {
            Ok(Ok(tree)) => tree,
            Err(RootError::Refused(why)) => return self.degraded(why, Vec::new()),
            Ok(Err(error)) | Err(RootError::Unreadable(error)) => {
                return self.unreadable(&error, Vec::new());
            }
        };
        let numbers = match self.numbers.take().map_or_else(|| Numbers::open(&self.state), Ok) {
            Ok(numbers) => self.numbers.insert(numbers),
            Err(error) => return self.uncounted(&error, vec![tree.absolute(tree.root())]),
        };
        let known = self.present.keys().map(|(name, _)| name.clone()).collect();
        let bound = Bound { versions: self.max_versions, known: &known };
        let sight = match scan(&tree, &mut self.contents, numbers, bound) {
            Ok(sight) => sight,
            Err(error) => return self.unreadable(&error, vec![tree.absolute(tree.root())]),
        };
        let Sight { mut seen, folders, notes, due, partial, empty } = sight;
        let folders: Vec<_> = folders.into_iter().map(|place| tree.absolute(place)).collect();
        let device = tree.root().stamp.device;
        if is_unmounted(self.device, device, empty) {
            let error = io::Error::other(
                "it is empty and on another device than before, like an unmounted volume",
            );
            return self.unreadable(&error, folders);
        }
        self.device = Some(device);
        self.say(notes);
        self.note_partial(partial);
        if partial {
            seen.extend(self.unlooked(&seen));
        }
        self.real(seen, folders, due)
    }

    /// Updates the announcement of an incomplete scan.
    fn note_partial(&mut self, partial: bool) {
        let limit = self.max_versions;
        let reason = partial.then(|| {
            format!(
                "the repository holds more than {limit} versions; the others are not looked at, and none is unloaded; \
                 remove some, or raise max_versions in wardian.toml"
            )
        });
        if let Some(reason) = reason.as_ref().filter(|_| self.aspired.partial.is_none()) {
            tracing::warn!(tenant = %self.aspired.tenant, reason, "repository is degraded; what serves keeps serving");
        }
        self.aspired.partial = reason;
    }

    /// Returns the earlier versions that this scan did not cover, as unsettled: they may still
    /// exist.
    fn unlooked(&self, seen: &[Seen]) -> Vec<Seen> {
        let looked_at: BTreeSet<_> =
            seen.iter().map(|seen| (seen.name(), seen.version())).collect();
        let is_unlooked = |name, version| {
            !looked_at.contains(&(name, Some(version))) && !looked_at.contains(&(name, None))
        };
        let unlooked = self.present.keys().filter(|(name, version)| is_unlooked(name, *version));
        unlooked
            .map(|(name, version)| Seen::Unsettled { name: name.clone(), version: Some(*version) })
            .collect()
    }

    fn real(&mut self, mut seen: Vec<Seen>, folders: Vec<Place>, mut due: Option<Instant>) -> Look {
        let gone = self.missing(&seen, Instant::now());
        let is_going = |seen: &Seen| {
            seen.version().is_some_and(|version| gone.contains_key(&(seen.name().clone(), version)))
        };
        // Not reported as missing until it is known to be gone.
        seen.retain(|seen| seen.is_there() || !is_going(seen));
        due = due.into_iter().chain(gone.values().copied()).min();
        seen.extend(
            gone.into_keys()
                .map(|(name, version)| Seen::Unsettled { name, version: Some(version) }),
        );
        seen.sort_by(|one, other| {
            (one.name(), one.version()).cmp(&(other.name(), other.version()))
        });
        if self.aspired.degraded.take().is_some() {
            tracing::info!(tenant = %self.aspired.tenant, "repository is readable again");
        }
        self.aspired.seen = seen;
        let waited_enough = self.began.elapsed() >= FIRST_LOOK_PATIENCE;
        self.aspired.first_settled |= waited_enough || self.aspired.is_settled();
        Look { aspired: self.aspired.clone(), folders, due }
    }

    /// Returns the versions that have been missing for less than the settle time, each with the
    /// instant at which that time ends. Many tools replace a file by deleting it first, and a
    /// folder is deleted file by file.
    fn missing(&mut self, seen: &[Seen], now: Instant) -> BTreeMap<(ModelName, Version), Instant> {
        let names: BTreeSet<_> =
            seen.iter().filter(|seen| seen.version().is_none()).map(Seen::name).collect();
        let there = seen.iter().filter(|seen| seen.is_there());
        let versions = there.filter_map(|seen| Some((seen.name().clone(), seen.version()?)));
        let versions: BTreeSet<_> = versions.collect();
        let mut missing = BTreeMap::new();
        let settle = self.settle;
        self.present.retain(|key, since| {
            if versions.contains(key) || names.contains(&key.0) {
                *since = None;
                return true;
            }
            let due = *since.get_or_insert(now) + settle;
            (due > now).then(|| missing.insert(key.clone(), due)).is_some()
        });
        self.present.extend(versions.into_iter().map(|key| (key, None)));
        missing
    }

    fn unreadable(&mut self, error: &io::Error, folders: Vec<Place>) -> Look {
        self.degraded(self.root.unreadable(error), folders)
    }

    /// Degrades the repository if the version numbers are unreadable: without them, a number would
    /// be assigned twice.
    fn uncounted(&mut self, error: &io::Error, folders: Vec<Place>) -> Look {
        let why = plain(error);
        let file = Numbers::file(&self.state);
        let detail = format!(
            "its version numbers cannot be read: {}: {why}; mend the file, or remove it to count from 1 again",
            file.display()
        );
        let reason =
            format!("its version numbers cannot be read: {why}; the host's log names the file");
        self.degraded(Degraded { reason, detail, fault: true }, folders)
    }

    fn degraded(&mut self, why: Degraded, folders: Vec<Place>) -> Look {
        if self.aspired.degraded.as_ref() != Some(&why) {
            let reason = &why.detail;
            tracing::warn!(tenant = %self.aspired.tenant, reason, "repository is degraded; what serves keeps serving");
        }
        self.aspired.degraded = Some(why);
        Look { aspired: self.aspired.clone(), folders, due: None }
    }

    fn say(&mut self, notes: Notes) {
        for note in notes.since(&self.notes) {
            tracing::warn!(tenant = %self.aspired.tenant, note, "the repository needs attention");
        }
        self.notes = notes;
    }
}

/// Returns true if an empty root is the mount point of an unmounted volume. An empty root on the
/// same device is a repository whose models were all deleted.
fn is_unmounted(before: Option<u64>, device: u64, empty: bool) -> bool {
    empty && before.is_some_and(|before| before != device)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;
    use crate::repository::Watch;

    #[test]
    fn only_an_empty_root_on_another_device_is_unmounted() {
        assert!(is_unmounted(Some(1), 2, true));
        assert!(!is_unmounted(Some(1), 1, true), "all models were deleted");
        assert!(!is_unmounted(Some(1), 2, false), "another volume was mounted");
        assert!(!is_unmounted(None, 1, true), "the first look");
    }

    #[test]
    fn what_goes_missing_is_unsettled_before_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let settle = Duration::from_millis(100);
        let config = DirectoryConfig {
            tenant: TenantName::default_tenant(),
            root: folder.path().into(),
            state: folder.path().into(),
            watch: Watch::Poll,
            poll_interval: settle,
            rescan_interval: settle,
            settle,
            max_versions: 10,
        };
        let root = Root::new(config.tenant.clone(), folder.path(), 1, None);
        let mut scanner = Scanner::new(&config, Arc::new(root), Effort::of_nobody());
        let name = ModelName::new("iris").unwrap();
        let key = (name.clone(), Version::new(1).unwrap());
        let there = [Seen::Unsettled { name: name.clone(), version: Some(key.1) }];
        let model_faulty = [Seen::Faulty { name, version: None, reason: String::new() }];
        let start = Instant::now();
        let mut missing = |seen: &[Seen], millis| {
            let now = start + Duration::from_millis(millis);
            scanner.missing(seen, now).into_iter().collect::<Vec<_>>()
        };
        assert_eq!(missing(&there, 0), []);
        assert_eq!(missing(&[], 1000), [(key.clone(), start + Duration::from_millis(1100))]);
        assert_eq!(missing(&there, 1050), []);
        assert_eq!(missing(&[], 1090), [(key.clone(), start + Duration::from_millis(1190))]);
        assert_eq!(missing(&model_faulty, 1150), []);
        assert_eq!(missing(&[], 1160), [(key, start + Duration::from_millis(1260))]);
        assert_eq!(missing(&[], 1260), []);
    }
}

//! State carried from one scan to the next: settled files, missing versions, reported messages.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::{ScanLimits, ScanResult, scan};
use crate::model::{ModelName, Version};
use crate::repository::aspired_versions::{AspiredVersions, Degraded, Observed};
use crate::repository::config::DirectoryConfig;
use crate::repository::confined_dir::{ConfinedDir, FileRef, error_text};
use crate::repository::file_cache::FileCache;
use crate::repository::operator_notes::OperatorNotes;
use crate::repository::root::{RepositoryRoot, RootError};
use crate::repository::runtimes::Runtimes;
use crate::repository::scan_meter::ScanMeter;
use crate::repository::version_numbers::VersionNumbers;

/// Time after the start for which one continuously changing file may delay the first complete
/// announcement.
const FIRST_SCAN_TIMEOUT: Duration = Duration::from_secs(10);

/// Number of files and folders that may be listed per allowed version. A version has a folder or
/// two and up to 64 sidecars.
const ENTRIES_PER_VERSION: usize = 100;

/// Scans one repository repeatedly.
pub(in crate::repository) struct Scanner {
    root: Arc<RepositoryRoot>,
    runtimes: Runtimes,
    settle: Duration,
    max_versions: usize,
    is_mirror: bool,
    cache: FileCache,
    /// Folder of the version numbers.
    state: PathBuf,
    /// The version numbers; `None` until they have been read.
    numbers: Option<VersionNumbers>,
    started_at: Instant,
    aspired: AspiredVersions,
    /// The versions of the last scan. The instant is set since the version went missing.
    present: BTreeMap<(ModelName, Version), Option<Instant>>,
    /// Device of the last root that was scanned.
    device: Option<u64>,
    notes: OperatorNotes,
}

/// The result of one scan, as announced.
pub(in crate::repository) struct ScanOutcome {
    pub(in crate::repository) aspired: AspiredVersions,
    /// The folders to watch.
    pub(in crate::repository) folders: Vec<FileRef>,
    /// The latest instant of the next scan, at which an unsettled file may have settled.
    pub(in crate::repository) due: Option<Instant>,
}

impl Scanner {
    pub(in crate::repository) fn new(
        config: &DirectoryConfig,
        root: Arc<RepositoryRoot>,
        runtimes: Runtimes,
        meter: ScanMeter,
    ) -> Self {
        let DirectoryConfig { tenant, state, settle, max_versions, is_mirror, .. } = config.clone();
        Scanner {
            root,
            runtimes,
            settle,
            max_versions: max_versions as usize,
            is_mirror,
            cache: FileCache::new(settle, meter),
            state,
            numbers: None,
            started_at: Instant::now(),
            aspired: AspiredVersions::empty(tenant),
            present: BTreeMap::new(),
            device: None,
            notes: OperatorNotes::default(),
        }
    }

    /// Scans the whole repository.
    pub(in crate::repository) fn scan(&mut self) -> ScanOutcome {
        let max_entries = self.max_versions.saturating_mul(ENTRIES_PER_VERSION);
        let tree = match self.root.open().map(|root| ConfinedDir::new(root, max_entries)) {
            Ok(Ok(tree)) => tree,
            Err(RootError::Refused(why)) => return self.degraded(why, Vec::new()),
            Ok(Err(error)) | Err(RootError::Unreadable(error)) => {
                return self.unreadable(&error, Vec::new());
            }
        };

        let numbers =
            match self.numbers.take().map_or_else(|| VersionNumbers::open(&self.state), Ok) {
                Ok(numbers) => self.numbers.insert(numbers),
                Err(error) => {
                    return self.numbers_unreadable(&error, vec![tree.absolute(tree.root())]);
                }
            };

        let known = self.present.keys().map(|(name, _)| name.clone()).collect();
        let runtimes = self.runtimes.catalog();
        let limits = ScanLimits {
            versions: self.max_versions,
            known: &known,
            runtimes: &runtimes,
            is_mirror: self.is_mirror,
        };
        let result = match scan(&tree, &mut self.cache, numbers, limits) {
            Ok(result) => result,
            Err(error) => return self.unreadable(&error, vec![tree.absolute(tree.root())]),
        };

        let ScanResult { mut observed, folders, notes, due, partial, empty } = result;
        let folders: Vec<_> = folders.into_iter().map(|folder| tree.absolute(folder)).collect();
        let device = tree.root().stamp.device;

        if is_unmounted(self.device, device, empty) {
            let error = io::Error::other(
                "it is empty and on another device than before, like an unmounted volume",
            );
            return self.unreadable(&error, folders);
        }

        self.device = Some(device);
        self.log_notes(notes);
        self.set_partial(partial);

        if partial {
            observed.extend(self.unscanned(&observed));
        }

        self.finish(observed, folders, due)
    }

    /// Updates the announcement of an incomplete scan.
    fn set_partial(&mut self, partial: bool) {
        let limit = self.max_versions;
        let reason = partial.then(|| {
            format!(
                "the repository holds more than {limit} versions; the others are not scanned, and none is unloaded; \
                 remove some, or raise max_versions in wardian.toml"
            )
        });

        if let Some(reason) = reason.as_ref().filter(|_| self.aspired.partial.is_none()) {
            tracing::warn!(tenant = %self.aspired.tenant, reason, "repository is degraded; serving versions stay");
        }

        self.aspired.partial = reason;
    }

    /// Returns the earlier versions that this scan did not cover, as unsettled: they may still
    /// exist.
    fn unscanned(&self, observed: &[Observed]) -> Vec<Observed> {
        let scanned: BTreeSet<_> =
            observed.iter().map(|entry| (entry.name(), entry.version())).collect();
        let is_unscanned = |name, version| {
            !scanned.contains(&(name, Some(version))) && !scanned.contains(&(name, None))
        };

        let unscanned = self.present.keys().filter(|(name, version)| is_unscanned(name, *version));
        unscanned
            .map(|(name, version)| Observed::Unsettled {
                name: name.clone(),
                version: Some(*version),
            })
            .collect()
    }

    /// Completes the announcement with the versions that went missing.
    fn finish(
        &mut self,
        mut observed: Vec<Observed>,
        folders: Vec<FileRef>,
        mut due: Option<Instant>,
    ) -> ScanOutcome {
        let missing = self.update_missing(&observed, Instant::now());
        let is_settling = |entry: &Observed| {
            let key = entry.version().map(|version| (entry.name().clone(), version));
            key.is_some_and(|key| missing.contains_key(&key))
        };

        // Not reported as missing before the settle time ends.
        observed.retain(|entry| entry.is_present() || !is_settling(entry));
        due = due.into_iter().chain(missing.values().copied()).min();

        let unsettled = missing.into_keys();
        observed.extend(
            unsettled.map(|(name, version)| Observed::Unsettled { name, version: Some(version) }),
        );
        observed.sort_by(|one, other| {
            (one.name(), one.version()).cmp(&(other.name(), other.version()))
        });

        if self.aspired.degraded.take().is_some() {
            tracing::info!(tenant = %self.aspired.tenant, "repository is readable again");
        }

        self.aspired.observed = observed;
        let waited_enough = self.started_at.elapsed() >= FIRST_SCAN_TIMEOUT;
        self.aspired.first_settled |= waited_enough || self.aspired.is_settled();

        ScanOutcome { aspired: self.aspired.clone(), folders, due }
    }

    /// Returns the versions that have been missing for less than the settle time, each with the
    /// instant at which that time ends. Many tools replace a file by deleting it first, and a
    /// folder is deleted file by file.
    fn update_missing(
        &mut self,
        observed: &[Observed],
        now: Instant,
    ) -> BTreeMap<(ModelName, Version), Instant> {
        let models = observed.iter().filter(|entry| entry.version().is_none());
        let models: BTreeSet<_> = models.map(Observed::name).collect();

        let present = observed.iter().filter(|entry| entry.is_present());
        let versions = present.filter_map(|entry| Some((entry.name().clone(), entry.version()?)));
        let versions: BTreeSet<_> = versions.collect();

        let settle = self.settle;
        let mut missing = BTreeMap::new();
        self.present.retain(|key, since| {
            if versions.contains(key) || models.contains(&key.0) {
                *since = None;
                return true;
            }
            let due = *since.get_or_insert(now) + settle;
            (due > now).then(|| missing.insert(key.clone(), due)).is_some()
        });

        self.present.extend(versions.into_iter().map(|key| (key, None)));
        missing
    }

    fn unreadable(&mut self, error: &io::Error, folders: Vec<FileRef>) -> ScanOutcome {
        self.degraded(self.root.unreadable_message(error), folders)
    }

    /// Degrades the repository if the version numbers are unreadable: without them, a number would
    /// be assigned twice.
    fn numbers_unreadable(&mut self, error: &io::Error, folders: Vec<FileRef>) -> ScanOutcome {
        let why = error_text(error);
        let file = VersionNumbers::file(&self.state);
        let detail = format!(
            "its version numbers cannot be read: {}: {why}; repair the file, or remove it to count from 1 again",
            file.display()
        );

        let reason =
            format!("its version numbers cannot be read: {why}; the host's log names the file");
        self.degraded(Degraded { reason, detail, needs_operator: true }, folders)
    }

    fn degraded(&mut self, why: Degraded, folders: Vec<FileRef>) -> ScanOutcome {
        if self.aspired.degraded.as_ref() != Some(&why) {
            let reason = &why.detail;
            tracing::warn!(tenant = %self.aspired.tenant, reason, "repository is degraded; serving versions stay");
        }

        self.aspired.degraded = Some(why);
        ScanOutcome { aspired: self.aspired.clone(), folders, due: None }
    }

    fn log_notes(&mut self, notes: OperatorNotes) {
        for note in notes.added_since(&self.notes) {
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
    use crate::repository::WatchMode;

    #[test]
    fn only_an_empty_root_on_another_device_is_unmounted() {
        assert!(is_unmounted(Some(1), 2, true));
        assert!(!is_unmounted(Some(1), 1, true), "all models were deleted");
        assert!(!is_unmounted(Some(1), 2, false), "another volume was mounted");
        assert!(!is_unmounted(None, 1, true), "the first scan");
    }

    #[test]
    fn a_missing_version_is_unsettled_before_it_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let settle = Duration::from_millis(100);
        let config = DirectoryConfig {
            tenant: TenantName::default_tenant(),
            root: folder.path().into(),
            state: folder.path().into(),
            watch: WatchMode::Poll,
            poll_interval: settle,
            rescan_interval: settle,
            settle,
            max_versions: 10,
            is_mirror: false,
        };

        let root = RepositoryRoot::new(config.tenant.clone(), folder.path(), 1, None);
        let mut scanner =
            Scanner::new(&config, Arc::new(root), Runtimes::default(), ScanMeter::unmetered());
        let name = ModelName::new("iris").unwrap();
        let key = (name.clone(), Version::new(1).unwrap());
        let there = [Observed::Unsettled { name: name.clone(), version: Some(key.1) }];
        let model_faulty = [Observed::Faulty { name, version: None, reason: String::new() }];
        let start = Instant::now();
        let mut missing = |observed: &[Observed], millis| {
            let now = start + Duration::from_millis(millis);
            scanner.update_missing(observed, now).into_iter().collect::<Vec<_>>()
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

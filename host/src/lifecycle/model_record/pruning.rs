//! The pruning of a model's old versions.

use std::collections::{BTreeMap, BTreeSet};
use std::time::SystemTime;

use tokio::time::Instant;

use super::super::load_task::host_retry_delay;
use super::super::prune_policy::{PrunePlan, StoredVersion, plan};
use super::super::version_state::{ServingContent, VersionState};
use super::ModelRecord;
use super::version::{ObservedContent, VersionRecord};
use crate::model::{Retention, Version, VersionPolicy};

/// The state of a model's pruning.
#[derive(Default)]
pub(super) struct Pruning {
    /// Old versions to keep; `None` to delete none.
    pub(super) retention: Option<Retention>,
    /// Versions are being deleted.
    is_running: bool,
    /// Versions that could not be deleted, each with the reason.
    faults: BTreeMap<Version, String>,
    /// The versions that were deleted last.
    deleted: BTreeSet<Version>,
    /// Number of consecutive tries that have failed, or were for nothing.
    failures: u32,
    /// The time before which nothing is tried again.
    retry_at: Option<Instant>,
}

impl Pruning {
    /// Replaces the retention. Faults belong to the one before.
    pub(super) fn set_retention(&mut self, retention: Option<Retention>) {
        if self.retention != retention {
            self.retention = retention;
            self.forget_faults();
        }
    }

    /// Forgets the faults, so that pruning is tried again at once.
    pub(super) fn forget_faults(&mut self) {
        self.faults.clear();
        self.failures = 0;
        self.retry_at = None;
    }
}

impl ModelRecord {
    /// Returns the versions to prune.
    pub(in crate::lifecycle) fn prune_plan(&self, now: SystemTime) -> PrunePlan {
        match self.pruning.retention {
            Some(retention) if !self.pruning.is_running && self.unversioned.is_none() => {
                plan(&self.stored_versions(), retention, now)
            }
            _ => PrunePlan::default(),
        }
    }

    /// The time before which pruning is not tried again.
    pub(in crate::lifecycle) fn prune_retry_at(&self) -> Option<Instant> {
        self.pruning.retry_at
    }

    /// Records that versions are being deleted.
    pub(in crate::lifecycle) fn start_pruning(&mut self) {
        self.pruning.is_running = true;
    }

    /// Records the end of a deletion: the versions that were deleted, and those that could not be.
    /// Returns the number of consecutive failures. A version that comes back after each deletion
    /// counts as one, so that it is not deleted all the time.
    pub(in crate::lifecycle) fn end_pruning(
        &mut self,
        deleted: BTreeSet<Version>,
        faults: BTreeMap<Version, String>,
    ) -> u32 {
        let pruning = &mut self.pruning;
        let failed = !faults.is_empty() || !deleted.is_disjoint(&pruning.deleted);
        pruning.is_running = false;
        pruning.failures = if failed { pruning.failures.saturating_add(1) } else { 0 };
        pruning.retry_at = failed.then(|| Instant::now() + host_retry_delay(pruning.failures));
        pruning.deleted = deleted;
        pruning.faults = faults;
        pruning.failures
    }

    /// The reason for which a version could not be deleted.
    pub(super) fn prune_fault(&self, version: Version) -> Option<&str> {
        self.pruning.faults.get(&version).map(String::as_str)
    }

    fn stored_versions(&self) -> Vec<StoredVersion> {
        let present = self.versions.iter().filter(|(_, record)| !record.is_absent());
        present.map(|(version, record)| self.stored_version(*version, record)).collect()
    }

    fn stored_version(&self, version: Version, record: &VersionRecord) -> StoredVersion {
        let serves = |content: &ServingContent| record.observed.is_candidate(content.digest);
        let is_changing = matches!(record.observed, ObservedContent::Unsettled);
        StoredVersion {
            version,
            is_usable: record.is_usable(),
            serves: record.serving().is_some_and(serves),
            is_idle: record.state() == VersionState::Unloaded && !is_changing,
            is_named: matches!(&self.policy, VersionPolicy::Only(named) if named.contains(&version)),
            placed_at: record.placed_at(),
        }
    }
}

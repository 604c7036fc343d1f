//! The reported state of a model: to callers, to the registry, and in the repository index.

use super::super::index_entry::{IndexEntry, IndexState};
use super::super::policy::{OperatorIntent, selects};
use super::ModelRecord;
use super::version::{ObservedContent, VersionRecord};
use crate::model::{LoadError, ModelName, Stage, Version};
use crate::registry::ModelEntry;

/// The reason if no version that is present is wanted.
const NONE_WANTED: &str = "`versions` in its model.toml selects none of the present versions";

impl ModelRecord {
    /// The outcome of a request to load the model.
    pub(in crate::lifecycle) fn load_outcome(&self) -> Result<(), LoadError> {
        if let Some(fault) = self.newest_fault() {
            return Err(fault);
        }
        if let Some(hold) = self.active_hold() {
            return Err(LoadError::new(Stage::Intercept, hold.reason.clone()));
        }

        let serves = self.newest_serving().is_some();
        if serves { Ok(()) } else { Err(LoadError::new(Stage::Read, NONE_WANTED)) }
    }

    /// The fault of the newest wanted version, or of one that is missing.
    fn newest_fault(&self) -> Option<LoadError> {
        if let Some(Some(reason)) = &self.unversioned {
            return Some(LoadError::new(Stage::Read, reason.clone()));
        }

        let may_be_wanted = |version: Version| selects(&self.policy, version);
        let mut present = self.versions.iter().rev().filter(|(_, record)| !record.is_absent());
        let newest = present.find(|(version, _)| may_be_wanted(**version));

        newest.and_then(|(_, record)| record.fault()).or_else(|| self.missing_fault())
    }

    /// The fault of the first version that the settings name and the repository does not hold.
    fn missing_fault(&self) -> Option<LoadError> {
        let (version, reason) = self.missing().next()?;
        Some(LoadError::new(Stage::Read, format!("version {version}: {reason}")))
    }

    /// The reason shown for a version that serves although the repository no longer holds it.
    fn deleted_reason(&self, version: Version) -> String {
        let mut present = self.versions.iter().rev().filter(|(_, record)| !record.is_absent());
        let next = present.find(|(version, _)| selects(&self.policy, **version));
        match next {
            Some((next, record)) if *next > version => {
                let fault = record.fault().map(|fault| format!(": {fault}")).unwrap_or_default();
                format!("no longer in the repository; it serves until version {next} does{fault}")
            }
            Some((next, _)) => format!("deleted; it serves until version {next} has loaded"),
            None => "deleted".into(),
        }
    }

    /// The model's entry in the registry; `None` if the model is unknown.
    pub(in crate::lifecycle) fn registry_entry(&self) -> Option<ModelEntry> {
        if self.unversioned.is_none() && self.versions.is_empty() {
            return None;
        }
        let serving = self.versions.values().rev().filter_map(VersionRecord::serving);
        let servables = serving.filter_map(|content| content.version.servable()).cloned();

        Some(ModelEntry {
            serving: servables.collect(),
            policy: self.policy.clone(),
            retention: self.pruning.retention,
            not_ready_reason: self.not_ready_reason(),
        })
    }

    /// The reason for which the model does not serve, as far as its callers may see it.
    pub(in crate::lifecycle) fn not_ready_reason(&self) -> String {
        if self.demand == OperatorIntent::Unload {
            return "it was unloaded on request".into();
        }
        if let Some(hold) = self.active_hold() {
            return hold.reason.clone();
        }
        if self.is_loading() {
            return "it is loading".into();
        }
        let Some(LoadError { stage, .. }) = self.newest_fault() else {
            let waits = self.next_action().is_some() || self.is_undecided();
            return match (waits, self.is_present()) {
                (true, _) => "it is waiting to be loaded".into(),
                (false, true) => NONE_WANTED.into(),
                (false, false) => "it was deleted".into(),
            };
        };
        if let Some(fault) = self.missing_fault().filter(|_| stage == Stage::Read) {
            return fault.reason;
        }

        // The reason may hold a guest's output, which callers of the model must not see.
        format!("it failed to load, at stage {stage}; the repository index has the reason")
    }

    /// The index entries of the model's versions, newest first.
    pub(in crate::lifecycle) fn index_entries(&self, name: &ModelName) -> Vec<IndexEntry> {
        let entry = |version, (state, reason), runtime| IndexEntry {
            name: name.clone(),
            version,
            state,
            reason,
            runtime,
        };
        let whole = self.unversioned.as_ref().map(|fault| {
            let reason = fault.clone().unwrap_or_else(|| "its file is still changing".into());
            entry(None, (IndexState::Unavailable, reason), None)
        });
        let versions = self.versions.iter().rev();

        whole
            .into_iter()
            .chain(versions.map(|(version, record)| {
                let state = self.index_state(*version, record);
                entry(Some(*version), state, record.runtime())
            }))
            .collect()
    }

    /// The index entry of a version, or else of the model as a whole.
    pub(in crate::lifecycle) fn index_entry(
        &self,
        name: &ModelName,
        version: Version,
    ) -> Option<IndexEntry> {
        let (whole, versions): (Vec<_>, Vec<_>) =
            self.index_entries(name).into_iter().partition(|entry| entry.version.is_none());
        versions
            .into_iter()
            .find(|entry| entry.version == Some(version))
            .or(whole.into_iter().next())
    }

    fn index_state(&self, version: Version, record: &VersionRecord) -> (IndexState, String) {
        let state = record.state().index_state();
        let reason = match state {
            IndexState::Ready => self.ready_reason(version, record),
            IndexState::Loading | IndexState::Unloading => String::new(),
            IndexState::Unavailable => self.unavailable_reason(record),
        };
        match self.prune_fault(version) {
            Some(fault) => (state, format!("{reason}; it cannot be pruned: {fault}")),
            None => (state, reason),
        }
    }

    /// The reason shown for a version that serves; empty if all is well.
    fn ready_reason(&self, version: Version, record: &VersionRecord) -> String {
        if record.is_deleted() && self.unversioned.is_none() {
            return self.deleted_reason(version);
        }
        let fault = record.fault().map(|error| record.degraded_reason(&error.to_string()));
        fault.or_else(|| record.live_config_fault()).unwrap_or_default()
    }

    /// The reason shown for a version that is not loaded.
    fn unavailable_reason(&self, record: &VersionRecord) -> String {
        match (&record.observed, self.demand) {
            (ObservedContent::Missing(reason), _) => reason.clone(),
            (_, OperatorIntent::Unload) => "unloaded on request".into(),
            (ObservedContent::Unsettled, _) => "its files are still changing".into(),
            _ => match (record.fault(), self.active_hold()) {
                (Some(fault), _) => fault.to_string(),
                (None, Some(hold)) => hold.reason.clone(),
                (None, None) => "not wanted by the version policy".into(),
            },
        }
    }
}

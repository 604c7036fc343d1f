//! The state of one model.

mod failures;
mod pruning;
mod report;
mod serving;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::loader_traits::ServingVersion;
use super::policy::{Action, OperatorIntent, VersionSnapshot, may_publish, next_action};
use crate::model::{ConfigTable, Retention, Version, VersionPolicy};
use crate::repository::{Candidate, Digest, Observed};
use crate::tenant::QuotaGuard;
use pruning::Pruning;
use version::{ObservedContent, VersionRecord};

/// The state of one model.
pub(super) struct ModelRecord {
    versions: BTreeMap<Version, VersionRecord>,
    /// Present if the repository holds the model in a form without a version, with the fault if it
    /// is invalid.
    unversioned: Option<Option<String>>,
    demand: OperatorIntent,
    policy: VersionPolicy,
    /// The live configuration. A version that is changing or invalid does not change it.
    live_config: Arc<ConfigTable>,
    /// The model's part of the tenant's quota of models, held while any version serves or is being
    /// loaded.
    model_quota: Option<QuotaGuard>,
    /// The reason that keeps the model from being loaded.
    hold: Option<LoadHold>,
    pruning: Pruning,
}

/// A reason that keeps a model from being loaded: its tenant's interceptors do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadHold {
    pub(super) reason: String,
    /// The interceptors are still being loaded.
    pub(super) undecided: bool,
}

/// The settings that decide which versions serve and which are pruned.
type ModelPolicies = (VersionPolicy, Option<Retention>);

impl Default for ModelRecord {
    fn default() -> Self {
        ModelRecord {
            versions: BTreeMap::new(),
            unversioned: None,
            demand: OperatorIntent::Serve,
            policy: VersionPolicy::default(),
            live_config: Arc::default(),
            model_quota: None,
            hold: None,
            pruning: Pruning::default(),
        }
    }
}

impl ModelRecord {
    /// Replaces the observed content by that of a newer scan. Returns true if the change matters.
    pub(super) fn observe<'a>(&mut self, scan: impl Iterator<Item = &'a Observed>) -> bool {
        let before = self.observed_state();
        self.replace_observed(scan);
        before != self.observed_state()
    }

    /// The part of the state that a scan may change.
    fn observed_state(
        &self,
    ) -> (Vec<VersionSnapshot>, Option<Option<String>>, ModelPolicies, Vec<Version>) {
        (
            self.snapshots(),
            self.unversioned.clone(),
            (self.policy.clone(), self.pruning.retention),
            self.missing().map(|(version, _)| version).collect(),
        )
    }

    /// The versions that the settings name and the repository does not hold, each with its reason.
    fn missing(&self) -> impl Iterator<Item = (Version, &str)> {
        self.versions
            .iter()
            .filter_map(|(version, record)| Some((*version, record.missing_reason()?)))
    }

    fn replace_observed<'a>(&mut self, scan: impl Iterator<Item = &'a Observed>) {
        self.unversioned = None;
        for record in self.versions.values_mut() {
            record.observed = ObservedContent::Absent;
        }

        for observed in scan {
            match observed.version() {
                Some(version) => self.observe_version(version, observed),
                None => self.unversioned = Some(fault_text(observed)),
            }
        }

        for content in self.versions.values().filter_map(VersionRecord::serving) {
            content.version.set_live_config(self.live_config.clone());
        }
    }

    fn observe_version(&mut self, version: Version, observed: &Observed) {
        let record = self.versions.entry(version).or_default();
        record.observed = match observed {
            Observed::Candidate(candidate) => {
                self.policy = candidate.settings.versions.clone();
                self.pruning.set_retention(candidate.settings.prune);
                self.live_config = candidate.live.values.clone();
                ObservedContent::Candidate(Box::new(candidate.clone()))
            }
            Observed::Unsettled { .. } => ObservedContent::Unsettled,
            Observed::Faulty { reason, .. } => ObservedContent::Faulty(reason.clone()),
            Observed::Missing { reason, .. } => ObservedContent::Missing(reason.clone()),
        };
    }

    /// The next action.
    pub(super) fn next_action(&self) -> Option<Action> {
        self.wanted_action()
            .filter(|action| self.hold.is_none() || !matches!(action, Action::Load(_)))
    }

    /// Sets or clears the reason that keeps the model from being loaded.
    pub(super) fn set_hold(&mut self, hold: Option<LoadHold>) {
        self.hold = hold;
    }

    /// The reason that keeps the model from being loaded, if the policy wants a load.
    fn active_hold(&self) -> Option<&LoadHold> {
        let waits = || matches!(self.wanted_action(), Some(Action::Load(_)));
        self.hold.as_ref().filter(|_| waits())
    }

    /// The next action without regard to interceptors.
    fn wanted_action(&self) -> Option<Action> {
        next_action(&self.snapshots(), &self.policy, self.demand, self.unversioned.is_some())
    }

    fn snapshots(&self) -> Vec<VersionSnapshot> {
        self.versions.iter().map(|(version, record)| record.snapshot(*version)).collect()
    }

    /// Sets the demand to wanted and forgets all failures, so that they are retried.
    pub(super) fn request_load(&mut self) {
        self.demand = OperatorIntent::Serve;
        self.pruning.forget_faults();
        for record in self.versions.values_mut() {
            record.clear_failures();
            if let Some(content) = record.serving() {
                content.version.reset_breaker();
            }
        }
    }

    /// Sets the demand to unwanted.
    pub(super) fn request_unload(&mut self) {
        self.demand = OperatorIntent::Unload;
    }

    /// The digest of a version's candidate.
    pub(super) fn candidate_digest(&self, version: Version) -> Option<Digest> {
        match &self.versions.get(&version)?.observed {
            ObservedContent::Candidate(candidate) => Some(candidate.digest),
            _ => None,
        }
    }

    /// True if a content serves or is being loaded under a version.
    pub(super) fn holds_content(&self, version: Version, digest: Digest) -> bool {
        self.versions.get(&version).is_some_and(|record| {
            let serving = record.serving().map(|content| content.digest);
            serving == Some(digest) || record.loading() == Some(digest)
        })
    }

    /// True if a version that has been loaded is to be published.
    pub(super) fn may_publish(&self, version: Version) -> bool {
        may_publish(&self.snapshots(), &self.policy, self.demand, version)
    }

    /// True if a version is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.versions.values().any(|record| record.loading().is_some())
    }

    /// True while the outcome of the model is unknown.
    pub(super) fn is_undecided(&self) -> bool {
        let changing =
            |record: &VersionRecord| matches!(record.observed, ObservedContent::Unsettled);
        self.is_loading()
            || self.waits_for_interceptors()
            || self.unversioned == Some(None)
            || self.versions.values().any(changing)
    }

    /// True while the outcome of the version's present content is unknown.
    pub(super) fn is_undecided_about(&self, version: Version) -> bool {
        let changing =
            |record: &VersionRecord| matches!(record.observed, ObservedContent::Unsettled);
        let undecided = |record: &VersionRecord| record.loading().is_some() || changing(record);
        self.waits_for_interceptors()
            || self.unversioned == Some(None)
            || self.versions.get(&version).is_some_and(undecided)
    }

    /// True if the model is loaded as soon as its tenant's interceptors are.
    fn waits_for_interceptors(&self) -> bool {
        self.active_hold().is_some_and(|hold| hold.undecided)
    }

    /// The newest version that serves.
    pub(super) fn newest_serving(&self) -> Option<&dyn ServingVersion> {
        let newest = self.versions.values().rev().find_map(VersionRecord::serving);
        newest.map(|content| &*content.version)
    }

    /// True if the repository holds any of the model, valid or not.
    pub(super) fn is_present(&self) -> bool {
        self.unversioned.is_some() || self.versions.values().any(|record| !record.is_absent())
    }

    /// True if the version serves.
    pub(super) fn is_serving(&self, version: Version) -> bool {
        self.versions.get(&version).is_some_and(|record| record.serving().is_some())
    }

    /// True if no version serves or drains.
    pub(super) fn is_idle(&self) -> bool {
        self.versions.values().all(VersionRecord::is_idle)
    }

    /// Removes the records of versions that have no state left.
    pub(super) fn remove_empty_versions(&mut self) {
        if self.is_idle() && !self.is_loading() {
            self.model_quota = None;
        }
        self.versions.retain(|_, record| !record.is_empty());
    }

    /// True if the model has no state left.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.unversioned.is_none()
    }

    /// The candidates in the repository.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.versions.values().filter_map(|record| match &record.observed {
            ObservedContent::Candidate(candidate) => Some(&**candidate),
            _ => None,
        })
    }
}

fn fault_text(observed: &Observed) -> Option<String> {
    match observed {
        Observed::Faulty { reason, .. } => Some(reason.clone()),
        Observed::Candidate(_) | Observed::Unsettled { .. } | Observed::Missing { .. } => None,
    }
}

//! The state of one model.

mod report;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::drain::Drain;
use super::policy::{Action, Demand, VersionSnapshot, may_publish, next_action};
use crate::model::{ConfigTable, LoadError, QuotaExceeded, Stage, Version, VersionPolicy};
use crate::repository::{Candidate, Digest, Observed};
use crate::servable::{Drained, ServableHandle};
use crate::tenant::{self, Resource, Tenant};
use version::{ServingContent, VersionContent, VersionRecord};

/// A version that has loaded, with the future that resolves when it has drained.
pub(super) type Loaded = (ServableHandle, Drained);

/// The state of one model.
pub(super) struct ModelRecord {
    versions: BTreeMap<Version, VersionRecord>,
    /// Present if the repository holds the model in a form without a version, with the fault if it
    /// is invalid.
    unversioned: Option<Option<String>>,
    demand: Demand,
    policy: VersionPolicy,
    /// The live configuration. A version that is changing or invalid does not change it.
    live_config: Arc<ConfigTable>,
    /// The model's part of the tenant's quota of models, held while any version serves or is being
    /// loaded.
    model_quota: Option<tenant::QuotaGuard>,
    /// The reason that keeps the model from being loaded.
    hold: Option<LoadHold>,
}

/// A reason that keeps a model from being loaded: its tenant's interceptors do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LoadHold {
    pub(super) reason: String,
    /// The interceptors are still being loaded.
    pub(super) undecided: bool,
}

impl Default for ModelRecord {
    fn default() -> Self {
        let policy = VersionPolicy::default();
        let (versions, elsewhere, live, place, held) = Default::default();
        ModelRecord {
            versions,
            unversioned: elsewhere,
            demand: Demand::Wanted,
            policy,
            live_config: live,
            model_quota: place,
            hold: held,
        }
    }
}

impl ModelRecord {
    /// Replaces the observed content by that of a newer scan. Returns true if the change matters.
    pub(super) fn observe<'a>(&mut self, seen: impl Iterator<Item = &'a Observed>) -> bool {
        let before = self.observed_state();
        self.replace_observed(seen);
        before != self.observed_state()
    }

    /// The part of the state that a scan may change.
    fn observed_state(
        &self,
    ) -> (Vec<VersionSnapshot>, Option<Option<String>>, VersionPolicy, Vec<Version>) {
        (
            self.snapshots(),
            self.unversioned.clone(),
            self.policy.clone(),
            self.missing().map(|(version, _)| version).collect(),
        )
    }

    /// The versions that the settings name and the repository does not hold, each with its reason.
    fn missing(&self) -> impl Iterator<Item = (Version, &str)> {
        self.versions
            .iter()
            .filter_map(|(version, record)| Some((*version, record.missing_reason()?)))
    }

    fn replace_observed<'a>(&mut self, seen: impl Iterator<Item = &'a Observed>) {
        self.unversioned = None;
        for record in self.versions.values_mut() {
            record.content = VersionContent::Absent;
        }

        for one in seen {
            match one.version() {
                Some(version) => self.observe_version(version, one),
                None => self.unversioned = Some(fault_text(one)),
            }
        }

        let serving = self.versions.values().filter_map(|record| record.serving.as_ref());
        serving.for_each(|serving| {
            serving.handle.template().config().set_live(self.live_config.clone())
        });
    }

    fn observe_version(&mut self, version: Version, seen: &Observed) {
        let record = self.versions.entry(version).or_default();
        record.content = match seen {
            Observed::Candidate(candidate) => {
                self.policy = candidate.settings.versions.clone();
                self.live_config = candidate.live.values.clone();
                VersionContent::Candidate(Box::new(candidate.clone()))
            }
            Observed::Unsettled { .. } => VersionContent::Unsettled,
            Observed::Faulty { reason, .. } => VersionContent::Faulty(reason.clone()),
            Observed::Missing { reason, .. } => VersionContent::Missing(reason.clone()),
        };
    }

    /// The next action.
    pub(super) fn next_action(&self) -> Option<Action> {
        let next =
            next_action(&self.snapshots(), &self.policy, self.demand, self.unversioned.is_some());
        next.filter(|action| self.hold.is_none() || !matches!(action, Action::Load(_)))
    }

    /// Sets or clears the reason that keeps the model from being loaded.
    pub(super) fn set_hold(&mut self, held: Option<LoadHold>) {
        self.hold = held;
    }

    /// The reason that keeps the model from being loaded, if the policy wants a load.
    fn active_hold(&self) -> Option<&LoadHold> {
        let next = || {
            next_action(&self.snapshots(), &self.policy, self.demand, self.unversioned.is_some())
        };
        self.hold.as_ref().filter(|_| matches!(next(), Some(Action::Load(_))))
    }

    fn snapshots(&self) -> Vec<VersionSnapshot> {
        self.versions.iter().map(|(version, record)| record.snapshot(*version)).collect()
    }

    /// Sets the demand to wanted and forgets all failures, so that they are retried.
    pub(super) fn request_load(&mut self) {
        self.demand = Demand::Wanted;
        for record in self.versions.values_mut() {
            (record.failed, record.failures) = (None, 0);
            if let Some(serving) = &record.serving {
                serving.handle.reset_breaker();
            }
        }
    }

    /// Sets the demand to unwanted.
    pub(super) fn request_unload(&mut self) {
        self.demand = Demand::Unwanted;
    }

    /// Starts to load a version. Returns its candidate.
    pub(super) fn start_loading(&mut self, version: Version) -> Option<Candidate> {
        let record = self.versions.get_mut(&version)?;
        let VersionContent::Candidate(candidate) = &record.content else { return None };
        record.loading = Some(candidate.digest);
        Some(Candidate::clone(candidate))
    }

    /// Acquires the model's part of the tenant's quota, if it is not held yet. Fails if the tenant
    /// has as many models as it may.
    pub(super) fn take_model_quota(&mut self, tenant: &Arc<Tenant>) -> Result<(), QuotaExceeded> {
        if self.model_quota.is_none() {
            self.model_quota = Some(tenant.take(Resource::Models, 1)?);
        }
        Ok(())
    }

    /// Releases the model's part of the quota of a removed tenant. A tenant of the same name has a
    /// quota of its own.
    pub(super) fn release_model_quota(&mut self) {
        self.model_quota = None;
    }

    /// Records that the content under this number keeps failing. Returns true if an older version
    /// is to take its place.
    pub(super) fn roll_back(&mut self, version: Version, digest: Digest) -> bool {
        let older = self.versions.range(..version).any(|(_, record)| record.is_usable());
        let latest = matches!(self.policy, VersionPolicy::Latest(_));
        let Some(record) = self.versions.get_mut(&version) else { return false };

        let serves = record.serving.as_ref().is_some_and(|serving| {
            serving.digest == digest
                && serving.handle.settings().breaker.rollback
                && record.content.is_candidate(digest)
        });

        if !(older && latest && serves) {
            return false;
        }

        let reason = "it kept failing; load it to try again, or replace it";
        record.failed = Some((digest, LoadError::new(Stage::Serve, reason)));
        true
    }

    /// The digest of a version's candidate.
    pub(super) fn candidate_digest(&self, version: Version) -> Option<Digest> {
        match &self.versions.get(&version)?.content {
            VersionContent::Candidate(candidate) => Some(candidate.digest),
            _ => None,
        }
    }

    /// Records a failed load. Returns the number of consecutive failures of this content.
    pub(super) fn record_failure(
        &mut self,
        version: Version,
        digest: Digest,
        error: LoadError,
    ) -> u32 {
        let record = self.versions.entry(version).or_default();
        record.loading = None;
        if record.last_tried != Some(digest) {
            (record.last_tried, record.failures) = (Some(digest), 0);
        }

        record.failures = record.failures.saturating_add(1);
        record.failed = Some((digest, error));
        record.failures
    }

    /// Forgets the failure of a version if it was temporary.
    pub(super) fn clear_transient_failure(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.failed = record.failed.take().filter(|(_, error)| !error.stage.is_transient());
        }
    }

    /// Forgets failures caused by interceptors, so that the present interceptors are called.
    pub(super) fn clear_interceptor_failures(&mut self) {
        for record in self.versions.values_mut() {
            record.failed =
                record.failed.take().filter(|(_, error)| error.stage != Stage::Intercept);
        }
    }

    /// Publishes a loaded version. Returns the drain of the content that served under its number
    /// before.
    pub(super) fn start_serving(
        &mut self,
        version: Version,
        digest: Digest,
        loaded: Loaded,
    ) -> Option<Drain> {
        let before = self.stop_serving(version);
        let record = self.versions.entry(version).or_default();
        record.loading = None;
        (record.failed, record.failures) = (None, 0);

        let (handle, drained) = loaded;
        // The live configuration may have changed during the load.
        handle.template().config().set_live(self.live_config.clone());

        let ending = Drain::new(&handle, drained);
        record.serving = Some(ServingContent { digest, handle, drain: ending });
        before
    }

    /// Records that the result of a load is no longer wanted.
    pub(super) fn abandon_load(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.loading = None;
        }
    }

    /// Takes a version out of service. Returns its drain.
    pub(super) fn stop_serving(&mut self, version: Version) -> Option<Drain> {
        let record = self.versions.get_mut(&version)?;
        let serving = record.serving.take()?;
        record.draining += 1;
        Some(serving.drain)
    }

    /// Records that one content of a version has drained.
    pub(super) fn record_drained(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.draining = record.draining.saturating_sub(1);
        }
    }

    /// True if a version that has been loaded is to be published.
    pub(super) fn may_publish(&self, version: Version) -> bool {
        may_publish(&self.snapshots(), &self.policy, self.demand, version)
    }

    /// True if a version is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.versions.values().any(|record| record.loading.is_some())
    }

    /// True while the outcome of the model is unknown.
    pub(super) fn is_undecided(&self) -> bool {
        let changing = |record: &VersionRecord| matches!(record.content, VersionContent::Unsettled);
        self.is_loading()
            || self.waits_for_interceptors()
            || self.unversioned == Some(None)
            || self.versions.values().any(changing)
    }

    /// True while the outcome of the version's present content is unknown.
    pub(super) fn is_undecided_about(&self, version: Version) -> bool {
        let changing = |record: &VersionRecord| matches!(record.content, VersionContent::Unsettled);
        let undecided = |record: &VersionRecord| record.loading.is_some() || changing(record);
        self.waits_for_interceptors()
            || self.unversioned == Some(None)
            || self.versions.get(&version).is_some_and(undecided)
    }

    /// True if the model is loaded as soon as its tenant's interceptors are.
    fn waits_for_interceptors(&self) -> bool {
        self.active_hold().is_some_and(|held| held.undecided)
    }

    /// The newest version that serves.
    pub(super) fn newest_serving(&self) -> Option<ServableHandle> {
        self.versions
            .values()
            .rev()
            .find_map(|record| record.serving.as_ref())
            .map(|serving| serving.handle.clone())
    }

    /// True if the repository holds any of the model, valid or not.
    pub(super) fn is_present(&self) -> bool {
        self.unversioned.is_some() || self.versions.values().any(|record| !record.is_absent())
    }

    /// True if the version serves.
    pub(super) fn is_serving(&self, version: Version) -> bool {
        self.versions.get(&version).is_some_and(|record| record.serving.is_some())
    }

    /// True if no version serves or drains.
    pub(super) fn is_idle(&self) -> bool {
        self.versions.values().all(|record| record.serving.is_none() && record.draining == 0)
    }

    /// Removes the records of versions that have no state left.
    pub(super) fn remove_empty_versions(&mut self) {
        if self.is_idle() && !self.is_loading() {
            self.model_quota = None;
        }
        let is_told =
            |record: &VersionRecord| !record.is_absent() || record.missing_reason().is_some();
        self.versions.retain(|_, record| is_told(record) || record.is_active());
    }

    /// True if the model has no state left.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.unversioned.is_none()
    }

    /// The candidates in the repository.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.versions.values().filter_map(|record| match &record.content {
            VersionContent::Candidate(candidate) => Some(&**candidate),
            _ => None,
        })
    }
}

fn fault_text(seen: &Observed) -> Option<String> {
    match seen {
        Observed::Faulty { reason, .. } => Some(reason.clone()),
        Observed::Candidate(_) | Observed::Unsettled { .. } | Observed::Missing { .. } => None,
    }
}

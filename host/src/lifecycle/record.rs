//! The state of one model.

mod telling;
mod version;

use std::collections::BTreeMap;
use std::sync::Arc;

use super::drain::Ending;
use super::policy::{Action, Demand, Known, goes_live, next_action};
use crate::model::{ConfigTable, LoadError, QuotaExceeded, Stage, Version, VersionPolicy};
use crate::repository::{Candidate, Digest, Seen};
use crate::servable::{Drained, ServableHandle};
use crate::tenant::{self, Resource, Tenant};
use version::{Content, Serving, VersionRecord};

/// A version that has loaded, with the future that resolves when it has drained.
pub(super) type Loaded = (ServableHandle, Drained);

/// The state of one model.
pub(super) struct ModelRecord {
    versions: BTreeMap<Version, VersionRecord>,
    /// Present if the repository holds the model in a form without a version, with the fault if it
    /// is invalid.
    elsewhere: Option<Option<String>>,
    demand: Demand,
    policy: VersionPolicy,
    /// The live configuration. A version that is changing or invalid does not change it.
    live: Arc<ConfigTable>,
    /// The model's part of the tenant's quota of models, held while any version serves or is being
    /// loaded.
    place: Option<tenant::Held>,
    /// The reason that keeps the model from being loaded.
    held: Option<Held>,
}

/// A reason that keeps a model from being loaded: its tenant's interceptors do not serve.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reason: String,
    /// The interceptors are still being loaded.
    pub(super) passing: bool,
}

impl Default for ModelRecord {
    fn default() -> Self {
        let policy = VersionPolicy::default();
        let (versions, elsewhere, live, place, held) = Default::default();
        ModelRecord { versions, elsewhere, demand: Demand::Wanted, policy, live, place, held }
    }
}

impl ModelRecord {
    /// Replaces the observed content by that of a newer scan. Returns true if the change matters.
    pub(super) fn see<'a>(&mut self, seen: impl Iterator<Item = &'a Seen>) -> bool {
        let before = self.seen();
        self.replace_seen(seen);
        before != self.seen()
    }

    /// The part of the state that a scan may change.
    fn seen(&self) -> (Vec<Known>, Option<Option<String>>, VersionPolicy, Vec<Version>) {
        (
            self.known(),
            self.elsewhere.clone(),
            self.policy.clone(),
            self.missing().map(|(version, _)| version).collect(),
        )
    }

    /// The versions that the settings name and the repository does not hold, each with its reason.
    fn missing(&self) -> impl Iterator<Item = (Version, &str)> {
        self.versions.iter().filter_map(|(version, record)| Some((*version, record.missing()?)))
    }

    fn replace_seen<'a>(&mut self, seen: impl Iterator<Item = &'a Seen>) {
        self.elsewhere = None;
        for record in self.versions.values_mut() {
            record.present = Content::Nothing;
        }

        for one in seen {
            match one.version() {
                Some(version) => self.see_version(version, one),
                None => self.elsewhere = Some(fault(one)),
            }
        }

        let serving = self.versions.values().filter_map(|record| record.serving.as_ref());
        serving.for_each(|serving| serving.handle.template().config().set_live(self.live.clone()));
    }

    fn see_version(&mut self, version: Version, seen: &Seen) {
        let record = self.versions.entry(version).or_default();
        record.present = match seen {
            Seen::Whole(candidate) => {
                self.policy = candidate.settings.versions.clone();
                self.live = candidate.live.values.clone();
                Content::Whole(Box::new(candidate.clone()))
            }
            Seen::Unsettled { .. } => Content::Unsettled,
            Seen::Faulty { reason, .. } => Content::Faulty(reason.clone()),
            Seen::Missing { reason, .. } => Content::Missing(reason.clone()),
        };
    }

    /// The next action.
    pub(super) fn next_action(&self) -> Option<Action> {
        let next = next_action(&self.known(), &self.policy, self.demand, self.elsewhere.is_some());
        next.filter(|action| self.held.is_none() || !matches!(action, Action::Load(_)))
    }

    /// Sets or clears the reason that keeps the model from being loaded.
    pub(super) fn hold(&mut self, held: Option<Held>) {
        self.held = held;
    }

    /// The reason that keeps the model from being loaded, if the policy wants a load.
    fn awaits(&self) -> Option<&Held> {
        let next =
            || next_action(&self.known(), &self.policy, self.demand, self.elsewhere.is_some());
        self.held.as_ref().filter(|_| matches!(next(), Some(Action::Load(_))))
    }

    fn known(&self) -> Vec<Known> {
        self.versions.iter().map(|(version, record)| record.known(*version)).collect()
    }

    /// Sets the demand to wanted and forgets all failures, so that they are retried.
    pub(super) fn demand_again(&mut self) {
        self.demand = Demand::Wanted;
        for record in self.versions.values_mut() {
            (record.failed, record.failures) = (None, 0);
            if let Some(serving) = &record.serving {
                serving.handle.put_back_into_service();
            }
        }
    }

    /// Sets the demand to unwanted.
    pub(super) fn demand_no_more(&mut self) {
        self.demand = Demand::Unwanted;
    }

    /// Starts to load a version. Returns its candidate.
    pub(super) fn start_loading(&mut self, version: Version) -> Option<Candidate> {
        let record = self.versions.get_mut(&version)?;
        let Content::Whole(candidate) = &record.present else { return None };
        record.loading = Some(candidate.digest);
        Some(Candidate::clone(candidate))
    }

    /// Acquires the model's part of the tenant's quota, if it is not held yet. Fails if the tenant
    /// has as many models as it may.
    pub(super) fn take_place(&mut self, tenant: &Arc<Tenant>) -> Result<(), QuotaExceeded> {
        if self.place.is_none() {
            self.place = Some(tenant.take(Resource::Models, 1)?);
        }
        Ok(())
    }

    /// Releases the model's part of the quota of a removed tenant. A tenant of the same name has a
    /// quota of its own.
    pub(super) fn leave_place(&mut self) {
        self.place = None;
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
                && record.present.is(digest)
        });

        if !(older && latest && serves) {
            return false;
        }

        let reason = "it kept failing; load it to try again, or replace it";
        record.failed = Some((digest, LoadError::new(Stage::Serve, reason)));
        true
    }

    /// The digest of a version's candidate.
    pub(super) fn digest(&self, version: Version) -> Option<Digest> {
        match &self.versions.get(&version)?.present {
            Content::Whole(candidate) => Some(candidate.digest),
            _ => None,
        }
    }

    /// Records a failed load. Returns the number of consecutive failures of this content.
    pub(super) fn fail(&mut self, version: Version, digest: Digest, error: LoadError) -> u32 {
        let record = self.versions.entry(version).or_default();
        record.loading = None;
        if record.tried != Some(digest) {
            (record.tried, record.failures) = (Some(digest), 0);
        }

        record.failures = record.failures.saturating_add(1);
        record.failed = Some((digest, error));
        record.failures
    }

    /// Forgets the failure of a version if it was temporary.
    pub(super) fn forget_passing_failure(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.failed = record.failed.take().filter(|(_, error)| !error.stage.is_passing());
        }
    }

    /// Forgets failures caused by interceptors, so that the present interceptors are called.
    pub(super) fn forget_objections(&mut self) {
        for record in self.versions.values_mut() {
            record.failed =
                record.failed.take().filter(|(_, error)| error.stage != Stage::Intercept);
        }
    }

    /// Publishes a loaded version. Returns the drain of the content that served under its number
    /// before.
    pub(super) fn serve(
        &mut self,
        version: Version,
        digest: Digest,
        loaded: Loaded,
    ) -> Option<Ending> {
        let before = self.stop_serving(version);
        let record = self.versions.entry(version).or_default();
        record.loading = None;
        (record.failed, record.failures) = (None, 0);

        let (handle, drained) = loaded;
        // The live configuration may have changed during the load.
        handle.template().config().set_live(self.live.clone());

        let ending = Ending::new(&handle, drained);
        record.serving = Some(Serving { digest, handle, ending });
        before
    }

    /// Records that the result of a load is no longer wanted.
    pub(super) fn abandon(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.loading = None;
        }
    }

    /// Takes a version out of service. Returns its drain.
    pub(super) fn stop_serving(&mut self, version: Version) -> Option<Ending> {
        let record = self.versions.get_mut(&version)?;
        let serving = record.serving.take()?;
        record.draining += 1;
        Some(serving.ending)
    }

    /// Records that one content of a version has drained.
    pub(super) fn drained(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.draining = record.draining.saturating_sub(1);
        }
    }

    /// True if a version that has been loaded is to be published.
    pub(super) fn lets_live(&self, version: Version) -> bool {
        goes_live(&self.known(), &self.policy, self.demand, version)
    }

    /// True if a version is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.versions.values().any(|record| record.loading.is_some())
    }

    /// True while the outcome of the model is unknown.
    pub(super) fn is_undecided(&self) -> bool {
        let changing = |record: &VersionRecord| matches!(record.present, Content::Unsettled);
        self.is_loading()
            || self.waits()
            || self.elsewhere == Some(None)
            || self.versions.values().any(changing)
    }

    /// True while the outcome of the version's present content is unknown.
    pub(super) fn is_undecided_about(&self, version: Version) -> bool {
        let changing = |record: &VersionRecord| matches!(record.present, Content::Unsettled);
        let undecided = |record: &VersionRecord| record.loading.is_some() || changing(record);
        self.waits()
            || self.elsewhere == Some(None)
            || self.versions.get(&version).is_some_and(undecided)
    }

    /// True if the model is loaded as soon as its tenant's interceptors are.
    fn waits(&self) -> bool {
        self.awaits().is_some_and(|held| held.passing)
    }

    /// The newest version that serves.
    pub(super) fn newest(&self) -> Option<ServableHandle> {
        self.versions
            .values()
            .rev()
            .find_map(|record| record.serving.as_ref())
            .map(|serving| serving.handle.clone())
    }

    /// True if the repository holds any of the model, valid or not.
    pub(super) fn is_there(&self) -> bool {
        self.elsewhere.is_some() || self.versions.values().any(|record| !record.is_absent())
    }

    /// True if the version serves.
    pub(super) fn serves(&self, version: Version) -> bool {
        self.versions.get(&version).is_some_and(|record| record.serving.is_some())
    }

    /// True if no version serves or drains.
    pub(super) fn is_idle(&self) -> bool {
        self.versions.values().all(|record| record.serving.is_none() && record.draining == 0)
    }

    /// Removes the records of versions that have no state left.
    pub(super) fn tidy(&mut self) {
        if self.is_idle() && !self.is_loading() {
            self.place = None;
        }
        let is_told = |record: &VersionRecord| !record.is_absent() || record.missing().is_some();
        self.versions.retain(|_, record| is_told(record) || record.is_active());
    }

    /// True if the model has no state left.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.elsewhere.is_none()
    }

    /// The candidates in the repository.
    pub(super) fn candidates(&self) -> impl Iterator<Item = &Candidate> {
        self.versions.values().filter_map(|record| match &record.present {
            Content::Whole(candidate) => Some(&**candidate),
            _ => None,
        })
    }
}

fn fault(seen: &Seen) -> Option<String> {
    match seen {
        Seen::Faulty { reason, .. } => Some(reason.clone()),
        Seen::Whole(_) | Seen::Unsettled { .. } | Seen::Missing { .. } => None,
    }
}

//! What the manager knows of one model.

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

/// A version that has loaded, and the means to know when it has drained.
pub(super) type Loaded = (ServableHandle, Drained);

/// What the manager knows of one model.
pub(super) struct ModelRecord {
    versions: BTreeMap<Version, VersionRecord>,
    /// The model is there in a form that has no version yet, with what is wrong with it if anything
    /// is.
    elsewhere: Option<Option<String>>,
    demand: Demand,
    policy: VersionPolicy,
    /// What its live configuration says; a version that is changing or wrong does not change that.
    live: Arc<ConfigTable>,
    /// Its place among the models that its tenant may have, while any of it serves or is being
    /// loaded.
    place: Option<tenant::Held>,
    /// Why none of it may be loaded for now.
    held: Option<Held>,
}

/// Why a model may not be loaded for now: for its tenant's interceptors.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) reason: String,
    /// It is not known yet what will become of them.
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
    /// Takes over what one look at the repository saw of the model; it replaces all earlier looks.
    /// Tells whether that changed anything that matters.
    pub(super) fn see<'a>(&mut self, seen: impl Iterator<Item = &'a Seen>) -> bool {
        let before = self.seen();
        self.replace_seen(seen);
        before != self.seen()
    }

    /// What a look may have changed.
    fn seen(&self) -> (Vec<Known>, Option<Option<String>>, VersionPolicy, Vec<Version>) {
        (
            self.known(),
            self.elsewhere.clone(),
            self.policy.clone(),
            self.missing().map(|(version, _)| version).collect(),
        )
    }

    /// The versions that the settings name and that are not there, each with what to say of it.
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

    /// What should be done next.
    pub(super) fn next_action(&self) -> Option<Action> {
        let next = next_action(&self.known(), &self.policy, self.demand, self.elsewhere.is_some());
        next.filter(|action| self.held.is_none() || !matches!(action, Action::Load(_)))
    }

    /// Keeps it from being loaded for that reason, or lets it be loaded again.
    pub(super) fn hold(&mut self, held: Option<Held>) {
        self.held = held;
    }

    /// Why it is not being loaded although it should be, if that is so.
    fn awaits(&self) -> Option<&Held> {
        let next =
            || next_action(&self.known(), &self.policy, self.demand, self.elsewhere.is_some());
        self.held.as_ref().filter(|_| matches!(next(), Some(Action::Load(_))))
    }

    fn known(&self) -> Vec<Known> {
        self.versions.iter().map(|(version, record)| record.known(*version)).collect()
    }

    /// Notes that somebody wants the model, and forgets what failed, so that it is tried again.
    pub(super) fn demand_again(&mut self) {
        self.demand = Demand::Wanted;
        for record in self.versions.values_mut() {
            (record.failed, record.failures) = (None, 0);
            if let Some(serving) = &record.serving {
                serving.handle.put_back_into_service();
            }
        }
    }

    /// Notes that nobody wants the model until somebody does again.
    pub(super) fn demand_no_more(&mut self) {
        self.demand = Demand::Unwanted;
    }

    /// Starts loading a version, and returns what to load.
    pub(super) fn start_loading(&mut self, version: Version) -> Option<Candidate> {
        let record = self.versions.get_mut(&version)?;
        let Content::Whole(candidate) = &record.present else { return None };
        record.loading = Some(candidate.digest);
        Some(Candidate::clone(candidate))
    }

    /// Takes a place among the models that the tenant may have, if it has none yet.
    pub(super) fn take_place(&mut self, tenant: &Arc<Tenant>) -> Result<(), QuotaExceeded> {
        if self.place.is_none() {
            self.place = Some(tenant.take(Resource::Models, 1)?);
        }
        Ok(())
    }

    /// Gives back its place: its tenant is gone. Should there be one of the same name, a place is
    /// that one's to give.
    pub(super) fn leave_place(&mut self) {
        self.place = None;
    }

    /// Notes that what serves under that number keeps failing. Tells whether an older version is to
    /// take its place.
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

    /// The content of a version that could be loaded.
    pub(super) fn digest(&self, version: Version) -> Option<Digest> {
        match &self.versions.get(&version)?.present {
            Content::Whole(candidate) => Some(candidate.digest),
            _ => None,
        }
    }

    /// Notes that a load failed. Tells how often this content has failed in a row.
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

    /// Forgets that a version failed, if what failed may have passed.
    pub(super) fn forget_passing_failure(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.failed = record.failed.take().filter(|(_, error)| !error.stage.is_passing());
        }
    }

    /// Forgets what interceptors have objected to, so that others are asked.
    pub(super) fn forget_objections(&mut self) {
        for record in self.versions.values_mut() {
            record.failed =
                record.failed.take().filter(|(_, error)| error.stage != Stage::Intercept);
        }
    }

    /// Lets a loaded version serve. What served under its number before is to be ended.
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
        // It may have changed while this was being loaded.
        handle.template().config().set_live(self.live.clone());
        let ending = Ending::new(&handle, drained);
        record.serving = Some(Serving { digest, handle, ending });
        before
    }

    /// Notes that a load came to nothing because nobody wants its result any more.
    pub(super) fn abandon(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.loading = None;
        }
    }

    /// Takes a version out of service. It is to be ended.
    pub(super) fn stop_serving(&mut self, version: Version) -> Option<Ending> {
        let record = self.versions.get_mut(&version)?;
        let serving = record.serving.take()?;
        record.draining += 1;
        Some(serving.ending)
    }

    /// Notes that one content of a version has drained.
    pub(super) fn drained(&mut self, version: Version) {
        if let Some(record) = self.versions.get_mut(&version) {
            record.draining = record.draining.saturating_sub(1);
        }
    }

    /// Whether a version that has been loaded is to go live.
    pub(super) fn lets_live(&self, version: Version) -> bool {
        goes_live(&self.known(), &self.policy, self.demand, version)
    }

    /// Whether a version of it is being loaded.
    pub(super) fn is_loading(&self) -> bool {
        self.versions.values().any(|record| record.loading.is_some())
    }

    /// Whether it is not yet known what will become of it.
    pub(super) fn is_undecided(&self) -> bool {
        let changing = |record: &VersionRecord| matches!(record.present, Content::Unsettled);
        self.is_loading()
            || self.waits()
            || self.elsewhere == Some(None)
            || self.versions.values().any(changing)
    }

    /// Whether it is not yet known what will become of what is there of a version.
    pub(super) fn is_undecided_about(&self, version: Version) -> bool {
        let changing = |record: &VersionRecord| matches!(record.present, Content::Unsettled);
        let undecided = |record: &VersionRecord| record.loading.is_some() || changing(record);
        self.waits()
            || self.elsewhere == Some(None)
            || self.versions.get(&version).is_some_and(undecided)
    }

    /// Whether it will be loaded as soon as its tenant's interceptors are.
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

    /// Whether the repository holds any of it, right or wrong.
    pub(super) fn is_there(&self) -> bool {
        self.elsewhere.is_some() || self.versions.values().any(|record| !record.is_absent())
    }

    /// Whether a version that serves has this number.
    pub(super) fn serves(&self, version: Version) -> bool {
        self.versions.get(&version).is_some_and(|record| record.serving.is_some())
    }

    /// Whether nothing serves or drains.
    pub(super) fn is_idle(&self) -> bool {
        self.versions.values().all(|record| record.serving.is_none() && record.draining == 0)
    }

    /// Forgets versions that there is nothing left to say of.
    pub(super) fn tidy(&mut self) {
        if self.is_idle() && !self.is_loading() {
            self.place = None;
        }
        let is_told = |record: &VersionRecord| !record.is_absent() || record.missing().is_some();
        self.versions.retain(|_, record| is_told(record) || record.is_active());
    }

    /// Whether there is nothing left to say of the model at all.
    pub(super) fn is_empty(&self) -> bool {
        self.versions.is_empty() && self.elsewhere.is_none()
    }

    /// The candidates that the repository holds.
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

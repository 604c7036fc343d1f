//! What is done with a version: it is loaded, serves, keeps failing, and ends.

use std::time::Instant;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use super::super::drain::Ending;
use super::super::loading::{Loading, load, retry_after};
use super::super::manager::{Event, Phase};
use super::super::metrics::TenantMetrics;
use super::super::record::Loaded;
use super::Task;
use crate::model::{LoadError, ModelId, ModelName, Stage, Version};
use crate::repository::Digest;
use crate::servable::Wrapping;
use crate::tenant::Verdict;

/// Writes a line about a version, unless the log has many of this tenant's lately.
macro_rules! say {
    ($task:expr, $level:ident, $($what:tt)*) => {
        match $task.lines.next(Instant::now()) {
            Verdict::Write => tracing::$level!(tenant = %$task.tenant, $($what)*),
            Verdict::DropAndSay => tracing::warn!(
                tenant = %$task.tenant,
                "more lines about loading this tenant's versions are left out for a minute; the index tells of each"
            ),
            Verdict::Drop => {}
        }
    };
}

impl Task {
    pub(super) fn start_loading(&mut self, name: &ModelName, version: Version) {
        let (Some(owner), Some(record)) = (&self.owner, self.models.get_mut(name)) else { return };
        let (Some(digest), Some(events)) = (record.digest(version), self.events.upgrade()) else {
            return;
        };
        if let Err(refusal) = owner.make_room(record, name, version) {
            let error = LoadError::new(Stage::Quota, refusal.to_string());
            return self.note_failure(name, version, digest, error);
        }

        let Some(candidate) = record.start_loading(version) else { return };
        let wrapped = owner.wrapping_of(name).map(Wrapping::chain).unwrap_or_default();
        let (loader, tenant) = (self.loader.clone(), owner.tenant().clone());
        tokio::spawn(load(Loading { loader, events, tenant, wrapped }, candidate));
        self.loads += 1;
        say!(self, info, model = %name, %version, %digest, "loading");
    }

    /// Notes why a version does not serve, and when it is tried again if that may help.
    fn note_failure(
        &mut self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        error: LoadError,
    ) {
        let Some(record) = self.models.get_mut(name) else { return };
        let stage = error.stage;
        let text = error.to_string();
        let failures = record.fail(version, digest, error);

        // What is tried again and again for the same reason was told already.
        if failures == 1 || !stage.is_passing() {
            say!(self, warn, model = %name, %version, error = %text, "cannot serve");
        }
        if let Some(after) = retry_after(stage, failures).filter(|_| self.phase == Phase::Open) {
            self.retries.add(Instant::now() + after, name.clone(), version);
        }
    }

    /// Whether a version that has shown that it can serve is to go live. Asked before its
    /// migrations are kept: they are kept only if it is, and once they are it does, if only for a
    /// moment.
    pub(super) fn lets_live(&self, name: &ModelName, version: Version) -> bool {
        let wanted = self.models.get(name).is_some_and(|record| record.lets_live(version));
        wanted && self.owner.is_some() && self.phase == Phase::Open
    }

    pub(super) fn loaded(
        &mut self,
        name: ModelName,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Loaded>, LoadError>,
    ) {
        self.loads = self.loads.saturating_sub(1);
        self.to_collect = true;
        match outcome {
            // What was loaded for a tenant that is gone would be on its account, with its grants.
            _ if self.owner.is_none() => self.abandon(&name, version),
            Ok(Some(loaded)) if self.phase == Phase::Open => {
                self.go_live(&name, version, digest, loaded)
            }
            // Not to go live; or live for the next start, as the server stops.
            Ok(_) => self.abandon(&name, version),
            Err(error) => {
                self.count(|metrics| &metrics.failures);
                self.note_failure(&name, version, digest, error);
            }
        }
        self.count(|metrics| &metrics.loads);
        self.drive(&name);
    }

    fn go_live(&mut self, name: &ModelName, version: Version, digest: Digest, loaded: Loaded) {
        let wrapping = self.owner.as_ref().and_then(|owner| owner.wrapping_of(name));
        let Some(record) = self.models.get_mut(name) else { return };
        let trips = loaded.0.trips();
        wrapping.into_iter().for_each(|wrapping| loaded.0.wrap_in(wrapping));
        let before = record.serve(version, digest, loaded);
        self.end(name, version, before);
        self.watch_trips(name, version, digest, trips);
        self.count(|metrics| &metrics.swaps);
        tracing::info!(tenant = %self.tenant, model = %name, %version, "ready");
    }

    /// Forgets a load.
    fn abandon(&mut self, name: &ModelName, version: Version) {
        if let Some(record) = self.models.get_mut(name) {
            record.abandon(version);
        }
    }

    /// Has the task hear of it when a version keeps failing, for as long as the version lives.
    fn watch_trips(
        &self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        mut trips: watch::Receiver<u64>,
    ) {
        let (events, name) = (self.events.clone(), name.clone());
        tokio::spawn(async move {
            while trips.changed().await.is_ok() {
                let Some(events) = events.upgrade() else { return };
                let _ = events.send(Event::Tripped { name: name.clone(), version, digest }).await;
            }
        });
    }

    /// Lets an older version take the place of one that keeps failing, if there is one.
    pub(super) fn tripped(&mut self, name: &ModelName, version: Version, digest: Digest) {
        let Some(record) = self.models.get_mut(name) else { return };
        let rolls_back = record.roll_back(version, digest);
        tracing::warn!(
            tenant = %self.tenant, model = %name, %version, rolls_back, "keeps failing; out of service for now"
        );
        self.count(|metrics| &metrics.trips);
        self.drive(name);
    }

    /// Starts the task that ends a version which serves no more.
    fn end(&self, name: &ModelName, version: Version, ending: Option<Ending>) {
        let Some(ending) = ending else { return };
        let (events, name) = (self.events.clone(), name.clone());
        // Begun here and now, so that whoever wraps it hears of its end even if it is to end next.
        let ending = ending.begin();
        tokio::spawn(async move {
            ending.run().await;
            if let Some(events) = events.upgrade() {
                let _ = events.send(Event::Drained { name, version }).await;
            }
        });
    }

    pub(super) fn stop_serving(&mut self, name: &ModelName, version: Version) {
        let ending = self.models.get_mut(name).and_then(|record| record.stop_serving(version));
        self.end(name, version, ending);
    }

    pub(super) fn drained(&mut self, name: &ModelName, version: Version) {
        if let Some(record) = self.models.get_mut(name) {
            record.drained(version);
        }
        let serves = self.models.get(name).is_some_and(|record| record.serves(version));
        // Under the same number other content may serve by now, of a later tenant of this name too,
        // and count on.
        if !serves && !self.registry.serves(&self.tenant, name, version) {
            self.loader.forget_metrics(&ModelId {
                tenant: self.tenant.clone(),
                name: name.clone(),
                version,
            });
        }
        self.to_collect = true;
        self.drive(name);
    }

    /// Counts something of the tenant's models, unless it is gone.
    fn count(&self, what: impl FnOnce(&TenantMetrics) -> &Counter) {
        if let Some(owner) = &self.owner {
            what(&owner.metrics).inc();
        }
    }
}

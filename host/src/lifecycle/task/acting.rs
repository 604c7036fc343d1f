//! What is done with a version: it is loaded, serves, keeps failing, and ends.

use std::sync::Arc;

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;

use super::super::drain::Ending;
use super::super::loading::{Loading, load, retry_later};
use super::super::manager::{Event, Key};
use super::super::metrics::TenantMetrics;
use super::super::record::Loaded;
use super::super::tenants::TenantRecord;
use super::Task;
use crate::model::{LoadError, ModelId, Stage, Version};
use crate::repository::Digest;
use crate::servable::Wrapping;
use crate::tenant::Tenant;

impl Task {
    pub(super) fn start_loading(&mut self, key: &Key, version: Version) {
        let (Some(owner), Some(record)) = (self.tenants.get(&key.0), self.models.get_mut(key)) else { return };
        let (Some(candidate), Some(events)) = (record.start_loading(version), self.events.upgrade()) else { return };
        match owner.make_room(record, &candidate) {
            Ok(()) => {
                tracing::info!(tenant = %key.0, model = %key.1, %version, digest = %candidate.digest, "loading");
                let wrapped = owner.wrapping_of(&key.1).map(Wrapping::chain).unwrap_or_default();
                let (loader, tenant) = (self.shared.loader.clone(), owner.tenant().clone());
                tokio::spawn(load(Loading { loader, events, tenant, wrapped }, key.clone(), candidate));
            }
            Err(refusal) => {
                tracing::warn!(tenant = %key.0, model = %key.1, %version, error = %refusal, "cannot be loaded");
                let error = LoadError::new(Stage::Quota, refusal.to_string());
                if let Some(after) = record.fail(version, candidate.digest, error) {
                    tokio::spawn(retry_later(after, key.clone(), version, events));
                }
            }
        }
    }

    /// Whether a version that has shown that it can serve is to go live. Asked before its migrations are kept: they
    /// are kept only if it is, and once they are it does, if only for a moment.
    pub(super) fn lets_live(&self, tenant: &Arc<Tenant>, key: &Key, version: Version) -> bool {
        let wanted = self.models.get(key).is_some_and(|record| record.lets_live(version));
        wanted && self.knows(tenant) && !self.closed
    }

    pub(super) fn loaded(
        &mut self,
        key: Key,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Loaded>, LoadError>,
    ) {
        let owner = self.tenants.get(&key.0);
        count(owner, |metrics| &metrics.loads);
        let wrapping = owner.and_then(|owner| owner.wrapping_of(&key.1));
        let Some(record) = self.models.get_mut(&key) else { return };
        match outcome {
            Ok(Some(loaded)) if !self.closed => {
                tracing::info!(tenant = %key.0, model = %key.1, %version, "ready");
                count(owner, |metrics| &metrics.swaps);
                let trips = loaded.0.trips();
                wrapping.into_iter().for_each(|wrapping| loaded.0.wrap_in(wrapping));
                let before = record.serve(version, digest, loaded);
                self.end(&key, version, before);
                self.watch_trips(&key, version, digest, trips);
            }
            // Not to go live; or live for the next start, as the server stops.
            Ok(_) => record.abandon(version),
            Err(error) => {
                tracing::warn!(tenant = %key.0, model = %key.1, %version, %error, "cannot serve");
                count(owner, |metrics| &metrics.failures);
                let after = record.fail(version, digest, error);
                if let (Some(after), Some(events)) = (after, self.events.upgrade()) {
                    tokio::spawn(retry_later(after, key.clone(), version, events));
                }
            }
        }
        self.drive(&key);
    }

    /// Whether it is this very tenant whose models are served, and not one of the same name that is gone.
    pub(super) fn knows(&self, tenant: &Arc<Tenant>) -> bool {
        self.tenants.get(tenant.name()).is_some_and(|record| Arc::ptr_eq(record.tenant(), tenant))
    }

    /// Forgets a load. What it made would be on the account of a tenant that is gone, with that one's grants.
    pub(super) fn abandon(&mut self, key: &Key, version: Version) {
        if let Some(record) = self.models.get_mut(key) {
            record.abandon(version);
        }
        self.drive(key);
    }

    /// Has the task hear of it when a version keeps failing, for as long as the version lives.
    pub(super) fn watch_trips(&self, key: &Key, version: Version, digest: Digest, mut trips: watch::Receiver<u64>) {
        let (events, key) = (self.events.clone(), key.clone());
        tokio::spawn(async move {
            while trips.changed().await.is_ok() {
                let Some(events) = events.upgrade() else { return };
                let _ = events.send(Event::Tripped { key: key.clone(), version, digest }).await;
            }
        });
    }

    /// Lets an older version take the place of one that keeps failing, if there is one.
    pub(super) fn tripped(&mut self, key: &Key, version: Version, digest: Digest) {
        let Some(record) = self.models.get_mut(key) else { return };
        let rolls_back = record.roll_back(version, digest);
        tracing::warn!(tenant = %key.0, model = %key.1, %version, rolls_back, "keeps failing; out of service for now");
        count(self.tenants.get(&key.0), |metrics| &metrics.trips);
        self.drive(key);
    }

    pub(super) fn retry(&mut self, key: &Key, version: Version) {
        if let Some(record) = self.models.get_mut(key) {
            record.forget_passing_failure(version);
        }
        self.drive(key);
    }

    /// Starts the task that ends a version which serves no more.
    pub(super) fn end(&self, key: &Key, version: Version, ending: Option<Ending>) {
        let Some(ending) = ending else { return };
        let (events, key) = (self.events.clone(), key.clone());
        // Begun here and now, so that whoever wraps it hears of its end even if it is to end next.
        let ending = ending.begin();
        tokio::spawn(async move {
            ending.run().await;
            if let Some(events) = events.upgrade() {
                let _ = events.send(Event::Drained { key, version }).await;
            }
        });
    }

    pub(super) fn stop_serving(&mut self, key: &Key, version: Version) {
        let ending = self.models.get_mut(key).and_then(|record| record.stop_serving(version));
        self.end(key, version, ending);
    }

    pub(super) fn drained(&mut self, key: &Key, version: Version) {
        if let Some(record) = self.models.get_mut(key) {
            record.drained(version);
        }
        // Under the same number, other content may serve by now, and count on.
        if !self.models.get(key).is_some_and(|record| record.serves(version)) {
            self.shared.loader.forget_metrics(&ModelId { tenant: key.0.clone(), name: key.1.clone(), version });
        }
        self.drive(key);
        self.collect();
    }
}

/// Counts something of a tenant's models, unless it is gone.
fn count(owner: Option<&TenantRecord>, what: impl FnOnce(&TenantMetrics) -> &Counter) {
    if let Some(owner) = owner {
        what(&owner.metrics).inc();
    }
}

//! Events of versions: start of a load, its outcome, an open circuit breaker, the end of a drain.

use prometheus_client::metrics::counter::Counter;
use tokio::sync::watch;
use tokio::time::Instant;

use super::super::event::Event;
use super::super::load_task::{LoadTask, retry_delay, run_load};
use super::super::loader_traits::ServingVersion;
use super::super::metrics::TenantMetrics;
use super::Reconciler;
use crate::model::{LoadError, ModelId, ModelName, ModelRoutes, Stage, Version};
use crate::repository::Digest;
use crate::servable::InterceptorChainHandle;
use crate::tenant::LogDecision;

/// Writes a log line about a version, within the tenant's rate limit.
macro_rules! log_version {
    ($task:expr, $level:ident, $name:expr, $version:expr, $($fields:tt)*) => {
        match $task.log_limit.next(Instant::now()) {
            LogDecision::Write => tracing::$level!(
                tenant = %$task.tenant, model = %$name, version = %$version, $($fields)*
            ),
            LogDecision::DropAndReport => tracing::warn!(
                tenant = %$task.tenant,
                "further lines about this tenant's versions are left out for a minute; the repository index lists each"
            ),
            LogDecision::Drop => {}
        }
    };
}

pub(super) use log_version;

impl Reconciler {
    pub(super) fn start_loading(&mut self, name: &ModelName, version: Version) {
        let (Some(owner), Some(record)) = (&self.owner_record, self.models.get_mut(name)) else {
            return;
        };
        let (Some(digest), Some(events)) =
            (record.candidate_digest(version), self.events.upgrade())
        else {
            return;
        };

        if let Err(refusal) = owner.take_quota(record, name, version) {
            let error = LoadError::new(Stage::Quota, refusal.to_string());
            return self.record_failure(name, version, digest, error);
        }

        let Some(candidate) = record.start_loading(version) else { return };
        let chain = owner.chain_handle_for(name).map(InterceptorChainHandle::chain);
        let task = LoadTask {
            loader: self.loader.clone(),
            events,
            tenant: owner.tenant().clone(),
            interceptors: chain.unwrap_or_default(),
        };
        tokio::spawn(run_load(task, candidate));
        self.running_loads += 1;

        log_version!(self, info, name, version, %digest, "loading");
    }

    /// Records a failure, and schedules a retry if it is transient.
    fn record_failure(
        &mut self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        error: LoadError,
    ) {
        let Some(record) = self.models.get_mut(name) else { return };
        let failures = record.record_failure(version, digest, error.clone());

        // A repeated transient failure is logged once.
        if failures == 1 || !error.is_transient() {
            log_version!(self, warn, name, version, %error, "cannot serve");
        }
        if let Some(delay) = retry_delay(&error, failures).filter(|_| self.is_running()) {
            self.retries.add(Instant::now() + delay, name.clone(), version);
        }
    }

    /// True if a validated version is to be published. Called before its migrations are committed:
    /// they are committed only if it is, and once they are, it serves, if only for a moment.
    ///
    /// The version has its routes from then on. Fails if another model has one of them.
    pub(super) fn may_publish(
        &mut self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        routes: &ModelRoutes,
    ) -> Result<bool, LoadError> {
        let wanted = self.models.get(name).is_some_and(|record| record.may_publish(version));
        if !(wanted && self.owner_record.is_some() && self.is_running()) {
            return Ok(false);
        }

        let claimed = self.route_claims.claim(name, version, digest, routes);
        claimed.map(|()| true).map_err(|reason| LoadError::new(Stage::Routes, reason))
    }

    pub(super) fn handle_loaded(
        &mut self,
        name: ModelName,
        version: Version,
        digest: Digest,
        outcome: Result<Option<Box<dyn ServingVersion>>, LoadError>,
    ) {
        self.running_loads = self.running_loads.saturating_sub(1);
        self.collection_due = true;
        let free_by_now = self.route_claims.take_refused(&name, version, digest);
        match outcome {
            // The version of a removed tenant would use that tenant's quota and grants.
            _ if self.owner_record.is_none() => self.abandon_load(&name, version),
            Ok(Some(loaded)) if self.is_running() => {
                self.start_serving(&name, version, digest, loaded)
            }
            // Not wanted; or published by the next start, because the server stops.
            Ok(_) => self.abandon_load(&name, version),
            Err(error) => {
                self.increment(|metrics| &metrics.failures);
                self.record_failure(&name, version, digest, error);
                // The route was released after it was refused, when the failure was not known yet.
                if free_by_now && let Some(record) = self.models.get_mut(&name) {
                    record.clear_route_failures();
                }
            }
        }

        self.increment(|metrics| &metrics.loads);
        self.reconcile(&name);
    }

    fn start_serving(
        &mut self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        loaded: Box<dyn ServingVersion>,
    ) {
        let chain = self.owner_record.as_ref().and_then(|owner| owner.chain_handle_for(name));
        let Some(record) = self.models.get_mut(name) else { return };

        let trips = loaded.breaker_trips();
        if let Some(chain) = chain {
            loaded.set_interceptors(chain);
        }

        let before = record.start_serving(version, digest, loaded);
        self.start_drain(name, version, before);
        self.watch_trips(name, version, digest, trips);
        self.increment(|metrics| &metrics.swaps);

        tracing::info!(tenant = %self.tenant, model = %name, %version, "ready");
    }

    /// Drops the result of a load.
    fn abandon_load(&mut self, name: &ModelName, version: Version) {
        if let Some(record) = self.models.get_mut(name) {
            record.abandon_load(version);
        }
    }

    /// Sends an event whenever the circuit breaker of a version opens, for as long as the version
    /// lives.
    fn watch_trips(
        &self,
        name: &ModelName,
        version: Version,
        digest: Digest,
        mut trips: watch::Receiver<u64>,
    ) {
        let events = self.events.clone();
        let name = name.clone();
        tokio::spawn(async move {
            while trips.changed().await.is_ok() {
                let Some(events) = events.upgrade() else { return };
                let _ = events.send(Event::Tripped { name: name.clone(), version, digest }).await;
            }
        });
    }

    /// Lets an older version take the place of one that keeps failing, if there is one.
    pub(super) fn handle_tripped(&mut self, name: &ModelName, version: Version, digest: Digest) {
        let Some(record) = self.models.get_mut(name) else { return };

        let rolls_back = record.roll_back(version, digest);
        tracing::warn!(
            tenant = %self.tenant, model = %name, %version, rolls_back, "keeps failing; out of service for now"
        );
        self.increment(|metrics| &metrics.trips);

        self.reconcile(name);
    }

    /// Starts the task that drains a version.
    fn start_drain(
        &self,
        name: &ModelName,
        version: Version,
        retired: Option<Box<dyn ServingVersion>>,
    ) {
        let Some(retired) = retired else { return };

        let events = self.events.clone();
        let name = name.clone();
        // Begun before the task runs, so that the interceptors that serve now see the drain even if
        // they are drained next.
        let drain = retired.drain();
        tokio::spawn(async move {
            drain.await;
            if let Some(events) = events.upgrade() {
                let _ = events.send(Event::Drained { name, version }).await;
            }
        });
    }

    pub(super) fn stop_serving(&mut self, name: &ModelName, version: Version) {
        let retired = self.models.get_mut(name).and_then(|record| record.stop_serving(version));
        self.start_drain(name, version, retired);
    }

    pub(super) fn handle_drained(&mut self, name: &ModelName, version: Version) {
        if let Some(record) = self.models.get_mut(name) {
            record.record_drained(version);
        }

        let serves = self.models.get(name).is_some_and(|record| record.is_serving(version));
        // Other content may serve under the same number by now, possibly of a later tenant of this
        // name, and use the same metrics.
        if !serves && !self.registry.serves(&self.tenant, name, version) {
            self.loader.forget_metrics(&ModelId {
                tenant: self.tenant.clone(),
                name: name.clone(),
                version,
            });
        }

        self.collection_due = true;
        self.reconcile(name);
    }

    /// Increments a counter of the tenant, unless it was removed.
    pub(super) fn increment(&self, what: impl FnOnce(&TenantMetrics) -> &Counter) {
        if let Some(owner) = &self.owner_record {
            what(&owner.metrics).inc();
        }
    }
}

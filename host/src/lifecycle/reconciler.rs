//! The reconcile loop of one tenant: the task that makes its serving versions those of its
//! repository.

mod pruning;
mod round_end;
mod sources;
mod versions;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::time::Instant;

use super::error::CommandError;
use super::event::{Event, Phase};
use super::index_entry::IndexEntry;
use super::loader_traits::Loader;
use super::log_rate_limit::LogRateLimit;
use super::model_record::ModelRecord;
use super::policy::Action;
use super::prune_schedule::PruneSchedule;
use super::pruner::Pruner;
use super::readiness::Readiness;
use super::retry_queue::RetryQueue;
use super::route_claims::RouteClaims;
use super::tenant_record::TenantRecord;
use super::waiters::Waiter;
use crate::model::{ModelName, TenantName};
use crate::registry::{Registry, TenantModels};
use crate::repository::{AspiredVersions, Degraded};

/// The parts that a tenant's task works with.
pub(super) struct ReconcilerParts {
    pub(super) registry: Registry,
    pub(super) loader: Arc<dyn Loader>,
    /// Deletes old versions; `None` if the server deletes none.
    pub(super) pruner: Option<Arc<dyn Pruner>>,
    pub(super) readiness: Arc<Readiness>,
    /// Its own event queue; weak, so that the task ends with the last sender elsewhere.
    pub(super) events: mpsc::WeakSender<Event>,
    pub(super) record: TenantRecord,
    /// The reason for which the repository cannot be trusted now, for readers outside the task.
    pub(super) degraded: Arc<ArcSwapOption<Degraded>>,
}

/// A tenant's task: its state and the parts it works with.
pub(super) struct Reconciler {
    registry: Registry,
    /// The tenant's part of the registry.
    published: TenantModels,
    loader: Arc<dyn Loader>,
    pruner: Option<Arc<dyn Pruner>>,
    readiness: Arc<Readiness>,
    events: mpsc::WeakSender<Event>,
    /// Its own event queue, held open once the tenant is removed.
    own_events: Option<mpsc::Sender<Event>>,
    /// `None` once the tenant is removed.
    owner_record: Option<TenantRecord>,
    tenant: TenantName,
    degraded: Arc<ArcSwapOption<Degraded>>,
    models: BTreeMap<ModelName, ModelRecord>,
    /// Models with a version that serves or drains.
    active_models: BTreeSet<ModelName>,
    /// Running loads.
    running_loads: usize,
    retries: RetryQueue,
    prune_schedule: PruneSchedule,
    log_limit: LogRateLimit,
    /// Models that have changed since the last publication.
    changed_models: BTreeSet<ModelName>,
    /// The interceptors have changed since the models were last updated.
    interceptors_changed: bool,
    route_claims: RouteClaims,
    waiters: Vec<Waiter>,
    /// The last merged announcement. The same one may arrive more than once.
    last_aspired: Option<Arc<AspiredVersions>>,
    /// The index; `None` once it may have changed.
    index: Option<Arc<Vec<IndexEntry>>>,
    phase: Phase,
    /// Time of the last artifact collection, and whether another may find anything.
    last_collection: Option<Instant>,
    collection_due: bool,
}

/// Events handled, at most, before their changes are published.
const MAX_EVENT_BATCH: usize = 64;

/// Models handled before the task yields to others.
pub(super) const MODELS_PER_YIELD: usize = 32;

impl Reconciler {
    pub(super) fn new(parts: ReconcilerParts) -> Self {
        let ReconcilerParts { registry, loader, pruner, readiness, events, record, degraded } =
            parts;
        let tenant = record.tenant().name().clone();
        Reconciler {
            published: registry.add_tenant(&tenant),
            registry,
            loader,
            pruner,
            readiness,
            events,
            own_events: None,
            owner_record: Some(record),
            tenant,
            degraded,
            models: BTreeMap::new(),
            active_models: BTreeSet::new(),
            running_loads: 0,
            retries: RetryQueue::default(),
            prune_schedule: PruneSchedule::default(),
            log_limit: LogRateLimit::new(),
            changed_models: BTreeSet::new(),
            interceptors_changed: false,
            route_claims: RouteClaims::default(),
            waiters: Vec::new(),
            last_aspired: None,
            index: None,
            phase: Phase::Running,
            last_collection: None,
            collection_due: true,
        }
    }

    /// Handles events until everything is unloaded or the last sender is gone.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let mut batch = Vec::with_capacity(MAX_EVENT_BATCH);
        let begun_in = *phase.borrow_and_update();
        self.enter_phase(begun_in).await;

        while !self.has_ended() {
            tokio::select! {
                biased;
                changed = phase.changed() => {
                    let next = *phase.borrow_and_update();
                    if changed.is_err() { break } else { self.enter_phase(next).await }
                }
                received = inbox.recv_many(&mut batch, MAX_EVENT_BATCH) => match received {
                    0 => break,
                    _ => self.handle_all(&mut batch).await,
                },
                () = self.retries.wait_until_due() => self.retry_due().await,
                () = self.prune_schedule.wait_until_due() => self.prune_due(),
            }
            self.apply_interceptor_changes().await;
            self.release_routes().await;
            self.publish();
            self.report_progress();
        }

        self.registry.remove_tenant(&self.tenant, &self.published);
    }

    /// True if nothing is left to do: everything is unloaded, and nothing will be loaded.
    fn has_ended(&self) -> bool {
        let leaving = self.owner_record.is_none() && self.running_loads == 0;
        self.active_models.is_empty() && (leaving || self.phase == Phase::Stopping)
    }

    async fn handle_all(&mut self, batch: &mut Vec<Event>) {
        for event in batch.drain(..) {
            self.handle(event).await;
            tokio::task::consume_budget().await;
        }
    }

    async fn handle(&mut self, event: Event) {
        if !matches!(event, Event::Index { .. }) {
            self.index = None;
        }

        match event {
            Event::Aspired(aspired) => self.merge_aspired(aspired).await,
            Event::SourceReplaced { source } => self.replace_source(source),
            Event::TenantRemoved { reply } => {
                self.remove_tenant().await;
                let _ = reply.send(());
            }
            Event::Tripped { name, version, digest } => self.handle_tripped(&name, version, digest),
            Event::Validated { name, version, digest, routes, reply } => {
                let _ = reply.send(self.may_publish(&name, version, digest, &routes));
            }
            Event::Loaded { name, version, digest, outcome } => {
                self.handle_loaded(name, version, digest, outcome)
            }
            Event::Drained { name, version } => self.handle_drained(&name, version),
            Event::Pruned { name, versions, outcome } => {
                self.handle_pruned(name, versions, outcome).await
            }
            Event::Load { name, aspired, reply } => {
                self.merge_aspired(aspired).await;
                self.request_load(name, reply);
            }
            Event::AwaitVersion { name, version, aspired, reply } => {
                self.merge_aspired(aspired).await;
                self.waiters.push(Waiter::Version { name, version, reply });
            }
            Event::Unload { name, reply } => {
                let outcome = self.request_unload(&name);
                self.waiters.push(Waiter::Unloaded { outcome, reply });
            }
            // Answered once the changes of this batch are published.
            Event::Index { reply } => self.waiters.push(Waiter::Index { reply }),
        }
    }

    /// True if versions may be loaded and replaced.
    fn is_running(&self) -> bool {
        self.phase == Phase::Running
    }

    async fn enter_phase(&mut self, phase: Phase) {
        self.phase = phase;
        self.index = None;
        if phase == Phase::Running {
            return;
        }

        self.retries.clear();
        self.prune_schedule.clear();
        if phase == Phase::Stopping {
            self.unload_all().await;
        }
    }

    async fn unload_all(&mut self) {
        for name in self.models.keys().cloned().collect::<Vec<_>>() {
            if let Some(record) = self.models.get_mut(&name) {
                record.request_unload();
            }
            self.apply_actions(&name);
            self.reconcile(&name);
            tokio::task::consume_budget().await;
        }
    }

    /// Starts the actions of the policy for a model, until it returns none for now.
    fn reconcile(&mut self, name: &ModelName) {
        if self.is_running() {
            self.apply_actions(name);
            self.prune(name);
        }
        self.interceptors_changed |= name.is_interceptor();
        self.changed_models.insert(name.clone());
    }

    fn apply_actions(&mut self, name: &ModelName) {
        while let Some(action) = self.models.get(name).and_then(ModelRecord::next_action) {
            match action {
                Action::Load(version) => self.start_loading(name, version),
                Action::Unload(version) => self.stop_serving(name, version),
            }
        }
    }

    /// Reconciles several models and yields to other tasks meanwhile.
    async fn reconcile_all(&mut self, names: impl IntoIterator<Item = ModelName>) {
        for (count, name) in names.into_iter().enumerate() {
            self.reconcile(&name);
            if count % MODELS_PER_YIELD == MODELS_PER_YIELD - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn request_load(&mut self, name: ModelName, reply: oneshot::Sender<Result<(), CommandError>>) {
        let running = self.is_running();
        match self.models.get_mut(&name) {
            Some(record) if running => {
                record.request_load();
                self.reconcile(&name);
                self.waiters.push(Waiter::Load { name, reply });
            }
            Some(_) => drop(reply.send(Err(CommandError::Stopping))),
            None => drop(reply.send(Err(CommandError::NotFound))),
        }
    }

    fn request_unload(&mut self, name: &ModelName) -> Result<(), CommandError> {
        let record = self.models.get_mut(name).ok_or(CommandError::NotFound)?;
        record.request_unload();
        self.reconcile(name);
        Ok(())
    }

    /// Retries versions with transient failures that are due.
    async fn retry_due(&mut self) {
        self.index = None;
        let due = self.retries.take_due(Instant::now());
        for (name, version) in &due {
            if let Some(record) = self.models.get_mut(name) {
                record.clear_transient_failure(*version);
            }
        }

        self.reconcile_all(due.into_iter().map(|(name, _)| name)).await;
    }

    /// Gives back the routes of versions that have ended, and retries models that wait for one.
    async fn release_routes(&mut self) {
        let mut released = false;
        for name in &self.changed_models {
            released |= self.route_claims.release(name, self.models.get(name));
        }
        if !released {
            return;
        }

        let waiting = self
            .models
            .iter_mut()
            .filter_map(|(name, record)| record.clear_route_failures().then(|| name.clone()));
        let waiting: Vec<_> = waiting.collect();
        self.reconcile_all(waiting).await;
    }
}

#[cfg(test)]
mod tests;

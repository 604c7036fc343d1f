//! The task that reconciles the serving versions of one tenant with its repository.

mod acting;
mod seeing;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::{Duration, Instant};

use arc_swap::ArcSwapOption;
use tokio::sync::{mpsc, oneshot, watch};

use super::index::IndexEntry;
use super::lines::Lines;
use super::loader::Loader;
use super::manager::{CommandError, Event, Phase};
use super::policy::Action;
use super::readiness::{Progress, Readiness};
use super::record::ModelRecord;
use super::retries::Retries;
use super::tenants::TenantRecord;
use super::waiting::Waiter;
use crate::model::{ModelName, TenantName};
use crate::registry::{Registry, TenantModels};
use crate::repository::{Aspired, Candidate, Degraded};

/// The parts that a tenant's task works with.
pub(super) struct TaskParts {
    pub(super) registry: Registry,
    pub(super) loader: Arc<Loader>,
    pub(super) readiness: Arc<Readiness>,
    /// Its own event queue; weak, so that the task ends with the last sender elsewhere.
    pub(super) events: mpsc::WeakSender<Event>,
    pub(super) record: TenantRecord,
    /// The reason for which the repository cannot be trusted now, for readers outside the task.
    pub(super) degraded: Arc<ArcSwapOption<Degraded>>,
}

/// A tenant's task: its state and the parts it works with.
pub(super) struct Task {
    registry: Registry,
    /// The tenant's part of the registry.
    published: TenantModels,
    loader: Arc<Loader>,
    readiness: Arc<Readiness>,
    events: mpsc::WeakSender<Event>,
    /// Its own event queue, held open once the tenant is removed.
    own_mailbox: Option<mpsc::Sender<Event>>,
    /// `None` once the tenant is removed.
    owner: Option<TenantRecord>,
    tenant: TenantName,
    degraded: Arc<ArcSwapOption<Degraded>>,
    models: BTreeMap<ModelName, ModelRecord>,
    /// Models of which any version serves or drains.
    busy: BTreeSet<ModelName>,
    /// Running loads.
    loads: usize,
    retries: Retries,
    lines: Lines,
    /// Models that have changed since the last publication.
    changed: BTreeSet<ModelName>,
    /// The interceptors have changed since the models were last updated.
    rewrapped: bool,
    waiting: Vec<Waiter>,
    /// The last merged announcement. The same one may arrive more than once.
    merged: Option<Arc<Aspired>>,
    /// The index; `None` once it may have changed.
    index: Option<Arc<Vec<IndexEntry>>>,
    phase: Phase,
    /// Time of the last artifact collection, and whether another may find anything.
    collected: Option<Instant>,
    to_collect: bool,
}

/// Events handled, at most, before their changes are published.
const BATCH: usize = 64;

/// Models handled before the task yields to others.
pub(super) const MODELS_IN_A_ROW: usize = 32;

/// Shortest time between two artifact collections of a tenant.
const COLLECT_INTERVAL: Duration = Duration::from_secs(60);

impl Task {
    pub(super) fn new(parts: TaskParts) -> Self {
        let TaskParts { registry, loader, readiness, events, record, degraded } = parts;
        let tenant = record.tenant().name().clone();
        let (models, busy, loads, retries, changed, rewrapped) = Default::default();
        let (waiting, merged, index, collected) = Default::default();

        Task {
            published: registry.open(&tenant),
            registry,
            loader,
            readiness,
            events,
            own_mailbox: None,
            owner: Some(record),
            tenant,
            degraded,
            models,
            busy,
            loads,
            retries,
            lines: Lines::new(),
            changed,
            rewrapped,
            waiting,
            merged,
            index,
            phase: Phase::Open,
            collected,
            to_collect: true,
        }
    }

    /// Handles events until everything is unloaded or the last sender is gone.
    pub(super) async fn run(
        mut self,
        mut inbox: mpsc::Receiver<Event>,
        mut phase: watch::Receiver<Phase>,
    ) {
        let mut batch = Vec::with_capacity(BATCH);
        let begun_in = *phase.borrow_and_update();
        self.enter(begun_in).await;

        while !self.has_ended() {
            tokio::select! {
                biased;
                changed = phase.changed() => {
                    let next = *phase.borrow_and_update();
                    if changed.is_err() { break } else { self.enter(next).await }
                }
                received = inbox.recv_many(&mut batch, BATCH) => match received {
                    0 => break,
                    _ => self.handle_all(&mut batch).await,
                },
                () = self.retries.due() => self.retry().await,
            }
            self.rewrap().await;
            self.publish();
            self.report();
        }

        self.registry.close(&self.tenant, &self.published);
    }

    /// True if nothing is left to do: everything is unloaded, and nothing will be loaded.
    fn has_ended(&self) -> bool {
        let leaving = self.owner.is_none() && self.loads == 0;
        self.busy.is_empty() && (leaving || self.phase == Phase::Stopping)
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
            Event::Aspired(aspired) => self.merge(aspired).await,
            Event::Moved { source } => self.move_to(source),
            Event::Dismissed { reply } => {
                self.leave().await;
                let _ = reply.send(());
            }
            Event::Tripped { name, version, digest } => self.tripped(&name, version, digest),
            Event::Proved { name, version, reply } => {
                drop(reply.send(self.lets_live(&name, version)))
            }
            Event::Loaded { name, version, digest, outcome } => {
                self.loaded(name, version, digest, outcome)
            }
            Event::Drained { name, version } => self.drained(&name, version),
            Event::Load { name, aspired, reply } => {
                self.merge(aspired).await;
                self.demand(name, reply);
            }
            Event::Follow { name, version, aspired, reply } => {
                self.merge(aspired).await;
                self.waiting.push(Waiter::Follow { name, version, reply });
            }
            Event::Unload { name, reply } => {
                let outcome = self.unload(&name);
                self.waiting.push(Waiter::Unloaded { outcome, reply });
            }
            // Answered once the changes of this batch are published.
            Event::Index { reply } => self.waiting.push(Waiter::Index { reply }),
        }
    }

    /// True if versions may be loaded and replaced.
    fn is_open(&self) -> bool {
        self.phase == Phase::Open
    }

    async fn enter(&mut self, phase: Phase) {
        (self.phase, self.index) = (phase, None);
        if phase == Phase::Open {
            return;
        }

        self.retries.clear();
        if phase == Phase::Stopping {
            self.unload_all().await;
        }
    }

    async fn unload_all(&mut self) {
        for name in self.models.keys().cloned().collect::<Vec<_>>() {
            if let Some(record) = self.models.get_mut(&name) {
                record.demand_no_more();
            }
            self.carry_on(&name);
            self.drive(&name);
            tokio::task::consume_budget().await;
        }
    }

    /// Starts the actions of the policy for a model, until it returns none for now.
    fn drive(&mut self, name: &ModelName) {
        if self.is_open() {
            self.carry_on(name);
        }
        self.rewrapped |= name.is_interceptor();
        self.changed.insert(name.clone());
    }

    fn carry_on(&mut self, name: &ModelName) {
        while let Some(action) = self.models.get(name).and_then(ModelRecord::next_action) {
            match action {
                Action::Load(version) => self.start_loading(name, version),
                Action::Unload(version) => self.stop_serving(name, version),
            }
        }
    }

    /// Reconciles several models and yields to other tasks meanwhile.
    async fn drive_all(&mut self, names: impl IntoIterator<Item = ModelName>) {
        for (count, name) in names.into_iter().enumerate() {
            self.drive(&name);
            if count % MODELS_IN_A_ROW == MODELS_IN_A_ROW - 1 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn demand(&mut self, name: ModelName, reply: oneshot::Sender<Result<(), CommandError>>) {
        let open = self.is_open();
        match self.models.get_mut(&name) {
            Some(record) if open => {
                record.demand_again();
                self.drive(&name);
                self.waiting.push(Waiter::Load { name, reply });
            }
            Some(_) => drop(reply.send(Err(CommandError::Stopping))),
            None => drop(reply.send(Err(CommandError::NotFound))),
        }
    }

    fn unload(&mut self, name: &ModelName) -> Result<(), CommandError> {
        let record = self.models.get_mut(name).ok_or(CommandError::NotFound)?;
        record.demand_no_more();
        self.drive(name);
        Ok(())
    }

    /// Retries versions with temporary failures that are due.
    async fn retry(&mut self) {
        self.index = None;
        let due = self.retries.take_due(Instant::now());
        for (name, version) in &due {
            if let Some(record) = self.models.get_mut(name) {
                record.forget_passing_failure(*version);
            }
        }

        self.drive_all(due.into_iter().map(|(name, _)| name)).await;
    }

    /// Publishes all changed models at once.
    fn publish(&mut self) {
        let mut changes = Vec::new();
        for name in std::mem::take(&mut self.changed) {
            let Some(record) = self.models.get_mut(&name) else { continue };
            record.tidy();
            match record.is_idle() {
                true => self.busy.remove(&name),
                false => self.busy.insert(name.clone()),
            };
            changes.push((name.clone(), record.entry()));
            if record.is_empty() {
                self.models.remove(&name);
            }
        }

        if !changes.is_empty() {
            self.published.publish(changes);
        }
    }

    fn index(&self) -> Arc<Vec<IndexEntry>> {
        Arc::new(self.models.iter().flat_map(|(name, record)| record.index(name)).collect())
    }

    /// Answers waiting callers and reports the tenant's progress.
    fn report(&mut self) {
        self.answer_waiting();
        if let Some(owner) = &self.owner {
            let (settled, degraded, loading) =
                (owner.is_settled(), owner.is_degraded(), self.loads > 0);
            self.readiness.note(&self.tenant, Progress { settled, degraded, loading });
        }

        self.collect();
    }

    fn answer_waiting(&mut self) {
        let mut index = self.index.take();
        for waiter in std::mem::take(&mut self.waiting) {
            let record = waiter.name().and_then(|name| self.models.get(name));
            let waits_on =
                waiter.answer(record, || index.get_or_insert_with(|| self.index()).clone());
            self.waiting.extend(waits_on);
        }

        self.index = index;
    }

    /// Starts an artifact collection, unless it would delay a load.
    fn collect(&mut self) {
        let waits = self.loads > 0 || !self.readiness.is_ready();
        let lately = self.collected.is_some_and(|at| at.elapsed() < COLLECT_INTERVAL);
        if !self.to_collect || waits || lately {
            return;
        }

        (self.collected, self.to_collect) = (Some(Instant::now()), false);
        let candidates: Vec<Candidate> =
            self.models.values().flat_map(ModelRecord::candidates).cloned().collect();
        let (loader, tenant) = (self.loader.clone(), self.tenant.clone());

        tokio::spawn(async move { loader.collect(&tenant, candidates).await });
    }
}

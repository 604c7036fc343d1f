//! The one task that decides what serves.

mod acting;
mod seeing;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot};

use super::index::IndexEntry;
use super::manager::{CommandError, Event, Key, Shared};
use super::metrics::Metrics;
use super::policy::Action;
use super::record::ModelRecord;
use super::tenants::TenantRecord;
use super::waiting::Waiter;
use crate::model::TenantName;
use crate::registry::Registry;
use crate::repository::Candidate;

/// What the manager's task knows and works with.
pub(super) struct Task {
    registry: Registry,
    ready: Arc<AtomicBool>,
    /// Tenants that are slow are not waited for any more.
    overdue: bool,
    shared: Arc<Shared>,
    // Weak, so that the task ends with the last `Manager`.
    events: mpsc::WeakSender<Event>,
    tenants: HashMap<TenantName, TenantRecord>,
    models: BTreeMap<Key, ModelRecord>,
    /// What has changed since requests were last told.
    changed: BTreeSet<Key>,
    /// Whose interceptors have changed since their models were last told.
    rewrapped: BTreeSet<TenantName>,
    waiting: Vec<Waiter>,
    /// Nothing is loaded or replaced any more.
    closed: bool,
    /// Who waits for everything to be gone.
    stopping: Option<oneshot::Sender<()>>,
    metrics: Metrics,
}

impl Task {
    pub(super) fn new(
        registry: Registry,
        ready: Arc<AtomicBool>,
        shared: Arc<Shared>,
        events: mpsc::WeakSender<Event>,
        metrics: &mut MetricsRegistry,
    ) -> Self {
        let metrics = Metrics::register(metrics);
        let (tenants, models, changed, rewrapped, waiting, closed, stopping) = Default::default();
        Task {
            registry,
            ready,
            overdue: false,
            shared,
            events,
            tenants,
            models,
            changed,
            rewrapped,
            waiting,
            closed,
            stopping,
            metrics,
        }
    }

    /// Handles one event after another, until everything is unloaded or nobody is left to send any.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        while let Some(event) = inbox.recv().await {
            self.handle(event);
            self.rewrap();
            self.publish();
            self.report();
            if self.stopping.is_some() && self.models.values().all(ModelRecord::is_idle) {
                break;
            }
        }
        if let Some(reply) = self.stopping.take() {
            let _ = reply.send(());
        }
    }

    fn handle(&mut self, event: Event) {
        match event {
            Event::Aspired(aspired) => self.merge(&aspired),
            Event::Adopt { tenant, source } => self.adopt(tenant, source),
            Event::Dismiss { tenant } => self.dismiss(&tenant),
            Event::Tripped { key, version, digest } => self.tripped(&key, version, digest),
            Event::Proved { tenant, key, version, reply } => {
                let _ = reply.send(self.lets_live(&tenant, &key, version));
            }
            Event::Loaded { tenant, key, version, digest, outcome } if self.knows(&tenant) => {
                self.loaded(key, version, digest, outcome)
            }
            Event::Loaded { key, version, .. } => self.abandon(&key, version),
            Event::Retry { key, version } => self.retry(&key, version),
            Event::Overdue => self.overdue = true,
            Event::Drained { key, version } => self.drained(&key, version),
            Event::Load { key, aspired, reply } => {
                self.merge(&aspired);
                self.demand(key, reply);
            }
            Event::Follow { key, version, aspired, reply } => {
                self.merge(&aspired);
                self.waiting.push(Waiter::Follow { key, version, reply });
            }
            Event::Unload { key, reply } => {
                let _ = reply.send(self.unload(&key));
            }
            Event::Index { tenant, reply } => {
                let _ = reply.send(self.index(&tenant));
            }
            Event::Close => self.closed = true,
            Event::Stop { reply } => self.stop(reply),
        }
    }

    /// Starts whatever the policy wants done for a model, until it wants nothing more for now.
    fn drive(&mut self, key: &Key) {
        if !self.closed {
            self.carry_on(key);
        }
        self.changed.insert(key.clone());
        if key.1.is_interceptor() {
            self.rewrapped.insert(key.0.clone());
        }
    }

    fn carry_on(&mut self, key: &Key) {
        while let Some(action) = self.models.get(key).and_then(ModelRecord::next_action) {
            match action {
                Action::Load(version) => self.start_loading(key, version),
                Action::Unload(version) => self.stop_serving(key, version),
            }
        }
    }

    fn demand(&mut self, key: Key, reply: oneshot::Sender<Result<(), CommandError>>) {
        match self.models.get_mut(&key) {
            Some(record) if !self.closed => {
                record.demand_again();
                self.waiting.push(Waiter::Load { key: key.clone(), reply });
                self.drive(&key);
            }
            Some(_) => drop(reply.send(Err(CommandError::Stopping))),
            None => drop(reply.send(Err(CommandError::NotFound))),
        }
    }

    fn unload(&mut self, key: &Key) -> Result<(), CommandError> {
        let record = self.models.get_mut(key).ok_or(CommandError::NotFound)?;
        record.demand_no_more();
        self.drive(key);
        Ok(())
    }

    fn stop(&mut self, reply: oneshot::Sender<()>) {
        self.closed = true;
        for record in self.models.values_mut() {
            record.demand_no_more();
        }
        for key in self.models.keys().cloned().collect::<Vec<_>>() {
            self.carry_on(&key);
            self.drive(&key);
        }
        self.stopping = Some(reply);
    }

    /// Makes what has changed visible to requests, all at once.
    fn publish(&mut self) {
        let mut changes = Vec::new();
        for key in std::mem::take(&mut self.changed) {
            let Some(record) = self.models.get_mut(&key) else { continue };
            record.tidy();
            changes.push((key.0.clone(), key.1.clone(), record.entry()));
            if record.is_empty() {
                self.models.remove(&key);
            }
        }
        if !changes.is_empty() {
            self.registry.publish(changes);
        }
    }

    fn index(&self, tenant: &TenantName) -> Vec<IndexEntry> {
        let own = self.models.iter().filter(|((owner, _), _)| owner == tenant);
        own.flat_map(|((_, name), record)| record.index(name)).collect()
    }

    /// Tells everybody who asked what has come of it.
    fn report(&mut self) {
        self.answer_waiting();
        if !self.ready.load(Ordering::Relaxed) && self.is_ready() {
            self.ready.store(true, Ordering::Release);
            self.collect();
        }
    }

    /// True if the server is ready: every tenant's models have been tried, or some have for so long that the others
    /// are not waited for any more.
    fn is_ready(&self) -> bool {
        let late = self.late_tenants();
        if late.is_empty() {
            tracing::info!("every wanted model has been tried");
            return true;
        }
        // A server that knows of no repository what is in it has nothing to be ready with.
        if !self.overdue || !self.tenants.values().any(TenantRecord::is_settled) {
            return false;
        }
        for tenant in late {
            tracing::warn!(%tenant, "ready, although not all of this tenant's models have been tried (ready_timeout)");
        }
        true
    }

    /// The tenants of whose wanted models not all have been tried.
    fn late_tenants(&self) -> Vec<&TenantName> {
        // One tenant's volume that is missing must not keep all others out.
        let alone = self.tenants.len() == 1;
        let is_known = |record: &TenantRecord| record.is_settled() || (record.is_degraded() && !alone);
        let loading = self.models.iter().filter(|(_, model)| model.is_loading());
        let loading: BTreeSet<_> = loading.map(|((tenant, _), _)| tenant).collect();
        let late = self.tenants.iter().filter(|(tenant, record)| !is_known(record) || loading.contains(tenant));
        late.map(|(tenant, _)| tenant).collect()
    }

    fn answer_waiting(&mut self) {
        let waiting = std::mem::take(&mut self.waiting).into_iter();
        self.waiting = waiting
            .filter_map(|waiter| {
                let record = self.models.get(waiter.key());
                waiter.answer(record)
            })
            .collect();
    }

    /// Lets the loader tidy up, unless there is work it would get in the way of.
    fn collect(&self) {
        if self.models.values().any(ModelRecord::is_loading) {
            return;
        }
        let candidates: Vec<Candidate> = self.models.values().flat_map(ModelRecord::candidates).cloned().collect();
        let loader = self.shared.loader.clone();
        tokio::spawn(async move { loader.collect(candidates.iter()).await });
    }
}

//! The one task that decides what serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot, watch};

use super::drain::Ending;
use super::index::IndexEntry;
use super::interceptors::Change;
use super::loader::Loader;
use super::manager::{CommandError, Event, Key, Shared, announce};
use super::metrics::{Metrics, TenantMetrics};
use super::policy::Action;
use super::record::{Loaded, ModelRecord};
use super::tenants::TenantRecord;
use super::waiting::Waiter;
use crate::model::{LoadError, ModelId, ModelName, Stage, TenantName, Version};
use crate::registry::Registry;
use crate::repository::{Aspired, Candidate, Digest, Source};
use crate::servable::{Chain, Wrapping};
use crate::tenant::Tenant;

/// What the manager's task knows and works with.
pub(super) struct Task {
    registry: Registry,
    ready: Arc<AtomicBool>,
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
        let (tenants, models, changed, rewrapped, waiting) = Default::default();
        let (closed, stopping) = Default::default();
        Task {
            registry,
            ready,
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

    /// Serves a tenant's models, or serves them from another repository.
    pub(super) fn adopt(&mut self, tenant: Arc<Tenant>, source: Source) {
        let name = tenant.name().clone();
        if let Some(events) = self.events.upgrade() {
            tokio::spawn(announce(source.subscribe(), events));
        }
        let record = match self.tenants.remove(&name) {
            Some(before) => before.moved(tenant, source.number()),
            None => TenantRecord::new(tenant, source.number(), self.metrics.of(&name)),
        };
        let mut wrappings = HashMap::clone(&self.shared.wrappings.load());
        wrappings.insert(name.clone(), record.interceptors.wrapping().clone());
        self.shared.wrappings.store(Arc::new(wrappings));
        self.tenants.insert(name.clone(), record);
        if let Ok(uploads) = source.uploads().cloned() {
            tokio::task::spawn_blocking(move || uploads.clear_leftovers());
        }
        let mut sources = HashMap::clone(&self.shared.sources.load());
        sources.insert(name, Arc::new(source));
        self.shared.sources.store(Arc::new(sources));
    }

    /// Wants nothing of a tenant any more.
    fn dismiss(&mut self, tenant: &TenantName) {
        self.tenants.remove(tenant);
        self.shared.loader.forget_tenant(tenant);
        let mut wrappings = HashMap::clone(&self.shared.wrappings.load());
        wrappings.remove(tenant);
        self.shared.wrappings.store(Arc::new(wrappings));
        let mut sources = HashMap::clone(&self.shared.sources.load());
        sources.remove(tenant);
        self.shared.sources.store(Arc::new(sources));
        self.note_degraded(tenant, None);
        let keys: Vec<_> = self.models.keys().filter(|(owner, _)| owner == tenant).cloned().collect();
        for key in keys {
            if let Some(record) = self.models.get_mut(&key) {
                record.see(std::iter::empty());
                record.leave_place();
            }
            self.drive(&key);
        }
    }

    /// Takes over what a source sees. What it no longer sees is in the records of its tenant still.
    fn merge(&mut self, aspired: &Aspired) {
        if !self.tenants.get_mut(&aspired.tenant).is_some_and(|record| record.see(aspired)) {
            return;
        }
        self.note_degraded(&aspired.tenant, aspired.degraded.as_ref());
        if aspired.degraded.is_some() {
            return;
        }
        let tenant = &aspired.tenant;
        let names = aspired.seen.iter().map(|seen| seen.name().clone());
        let known = self.models.keys().filter(|(owner, _)| owner == tenant).map(|(_, name)| name.clone());
        let names: BTreeSet<_> = names.chain(known).collect();
        let (interceptors, models): (Vec<_>, Vec<_>) = names.into_iter().partition(ModelName::is_interceptor);
        interceptors.iter().for_each(|name| self.see(aspired, name));
        // What wraps models comes first: whether they may be loaded depends on it.
        self.rewrapped.insert(tenant.clone());
        self.rewrap();
        models.iter().for_each(|name| self.see(aspired, name));
    }

    /// Takes over what a source sees of one model.
    fn see(&mut self, aspired: &Aspired, name: &ModelName) {
        let key = (aspired.tenant.clone(), name.clone());
        let owner = self.tenants.get(&aspired.tenant).filter(|_| !name.is_interceptor());
        let held = owner.and_then(|owner| owner.interceptors.held()).cloned();
        let record = self.models.entry(key.clone()).or_default();
        record.hold(held);
        if record.see(aspired.of(name)) {
            self.drive(&key);
        }
    }

    /// Tells the models of every tenant whose interceptors have changed.
    fn rewrap(&mut self) {
        for tenant in std::mem::take(&mut self.rewrapped) {
            let Some(owner) = self.tenants.get_mut(&tenant) else { continue };
            let own = self.models.iter().filter(|((owner, name), _)| *owner == tenant && name.is_interceptor());
            let Change { links, held } = owner.update_interceptors(own.map(|((_, name), record)| (name, record)));
            if !links && !held {
                continue;
            }
            let held = owner.interceptors.held().cloned();
            let models = self.models.iter_mut().filter(|((owner, name), _)| *owner == tenant && !name.is_interceptor());
            let told = models.map(|(key, model)| {
                model.hold(held.clone());
                if links {
                    model.forget_objections();
                }
                key.clone()
            });
            told.collect::<Vec<_>>().iter().for_each(|key| self.drive(key));
        }
    }

    fn note_degraded(&self, tenant: &TenantName, reason: Option<&String>) {
        let mut degraded = HashMap::clone(&self.shared.degraded.load());
        match reason {
            Some(reason) => degraded.insert(tenant.clone(), reason.clone()),
            None => degraded.remove(tenant),
        };
        self.shared.degraded.store(Arc::new(degraded));
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

    fn start_loading(&mut self, key: &Key, version: Version) {
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
                tokio::spawn(retry_later(key.clone(), version, events));
                record.fail(version, candidate.digest, LoadError::new(Stage::Quota, refusal.to_string()));
            }
        }
    }

    /// Whether a version that has shown that it can serve is to go live. Asked before its migrations are kept: they
    /// are kept only if it is, and once they are it does, if only for a moment.
    fn lets_live(&self, tenant: &Arc<Tenant>, key: &Key, version: Version) -> bool {
        let wanted = self.models.get(key).is_some_and(|record| record.lets_live(version));
        wanted && self.knows(tenant) && !self.closed
    }

    fn loaded(&mut self, key: Key, version: Version, digest: Digest, outcome: Result<Option<Loaded>, LoadError>) {
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
                if error.stage.is_passing() {
                    self.events.upgrade().map(|events| tokio::spawn(retry_later(key.clone(), version, events)));
                }
                record.fail(version, digest, error);
            }
        }
        self.drive(&key);
    }

    /// Whether it is this very tenant whose models are served, and not one of the same name that is gone.
    fn knows(&self, tenant: &Arc<Tenant>) -> bool {
        self.tenants.get(tenant.name()).is_some_and(|record| Arc::ptr_eq(record.tenant(), tenant))
    }

    /// Forgets a load. What it made would be on the account of a tenant that is gone, with that one's grants.
    fn abandon(&mut self, key: &Key, version: Version) {
        if let Some(record) = self.models.get_mut(key) {
            record.abandon(version);
        }
        self.drive(key);
    }

    /// Has the task hear of it when a version keeps failing, for as long as the version lives.
    fn watch_trips(&self, key: &Key, version: Version, digest: Digest, mut trips: watch::Receiver<u64>) {
        let (events, key) = (self.events.clone(), key.clone());
        tokio::spawn(async move {
            while trips.changed().await.is_ok() {
                let Some(events) = events.upgrade() else { return };
                let _ = events.send(Event::Tripped { key: key.clone(), version, digest }).await;
            }
        });
    }

    /// Lets an older version take the place of one that keeps failing, if there is one.
    fn tripped(&mut self, key: &Key, version: Version, digest: Digest) {
        let Some(record) = self.models.get_mut(key) else { return };
        let rolls_back = record.roll_back(version, digest);
        tracing::warn!(tenant = %key.0, model = %key.1, %version, rolls_back, "keeps failing; out of service for now");
        count(self.tenants.get(&key.0), |metrics| &metrics.trips);
        self.drive(key);
    }

    fn retry(&mut self, key: &Key, version: Version) {
        if let Some(record) = self.models.get_mut(key) {
            record.forget_passing_failure(version);
        }
        self.drive(key);
    }

    /// Starts the task that ends a version which serves no more.
    fn end(&self, key: &Key, version: Version, ending: Option<Ending>) {
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

    fn stop_serving(&mut self, key: &Key, version: Version) {
        let ending = self.models.get_mut(key).and_then(|record| record.stop_serving(version));
        self.end(key, version, ending);
    }

    fn drained(&mut self, key: &Key, version: Version) {
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
        if !self.ready.load(Ordering::Relaxed) && self.everything_tried() {
            tracing::info!("every wanted model has been tried");
            self.ready.store(true, Ordering::Release);
            self.collect();
        }
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

    fn everything_tried(&self) -> bool {
        // One tenant's volume that is missing must not keep all others out.
        let alone = self.tenants.len() == 1;
        let tried = |record: &TenantRecord| record.is_settled() || (record.is_degraded() && !alone);
        self.tenants.values().all(tried) && !self.models.values().any(ModelRecord::is_loading)
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

/// Counts something of a tenant's models, unless it is gone.
fn count(owner: Option<&TenantRecord>, what: impl FnOnce(&TenantMetrics) -> &Counter) {
    if let Some(owner) = owner {
        what(&owner.metrics).inc();
    }
}

/// What a load is done with.
struct Loading {
    loader: Arc<Loader>,
    events: mpsc::Sender<Event>,
    tenant: Arc<Tenant>,
    /// Who is asked before and after.
    wrapped: Arc<Chain>,
}

impl Loading {
    /// Gives nothing if the version is wanted no more once it has been loaded; then it leaves nothing behind.
    async fn run(&self, id: &ModelId, candidate: &Candidate) -> Result<Option<Loaded>, LoadError> {
        self.wrapped.before_load(id).await?;
        let proved = self.loader.load(&self.tenant, candidate, &|_| {}).await?;
        self.wrapped.after_load(id).await?;
        if self.may_go_live(id).await { proved.go_live().await.map(Some) } else { Ok(None) }
    }

    async fn may_go_live(&self, id: &ModelId) -> bool {
        let (reply, answer) = oneshot::channel();
        let (tenant, key) = (self.tenant.clone(), (id.tenant.clone(), id.name.clone()));
        let asked = self.events.send(Event::Proved { tenant, key, version: id.version, reply }).await;
        asked.is_ok() && answer.await.unwrap_or(false)
    }
}

async fn load(loading: Loading, key: Key, candidate: Candidate) {
    let (version, digest) = (candidate.version, candidate.digest);
    let id = ModelId { tenant: key.0.clone(), name: key.1.clone(), version };
    let (tenant, events) = (loading.tenant.clone(), loading.events.clone());
    // A task of its own, so that a panic in it is a failed load and not a load that never ends.
    let load = tokio::spawn(async move { loading.run(&id, &candidate).await });
    let outcome = load
        .await
        .unwrap_or_else(|error| Err(LoadError::new(Stage::Link, format!("loading ended unexpectedly: {error}"))));
    let _ = events.send(Event::Loaded { tenant, key, version, digest, outcome }).await;
}

/// How long a full disk or a file that keeps changing is given to pass.
const RETRY_AFTER: Duration = Duration::from_secs(5);

async fn retry_later(key: Key, version: Version, events: mpsc::Sender<Event>) {
    tokio::time::sleep(RETRY_AFTER).await;
    let _ = events.send(Event::Retry { key, version }).await;
}

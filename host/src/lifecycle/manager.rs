//! The one task that decides what serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use arc_swap::ArcSwap;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot};

use super::drain::Ending;
use super::index::IndexEntry;
use super::loader::Loader;
use super::policy::Action;
use super::record::{Loaded, ModelRecord};
use crate::model::{LoadError, ModelId, ModelName, Stage, TenantName, Version};
use crate::registry::Registry;
use crate::repository::{Aspired, Candidate, Digest, Directory};

/// Why a command was not carried out.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum CommandError {
    /// The repository holds no such model.
    #[error("there is no such model in the repository")]
    NotFound,
    /// What the repository holds cannot serve.
    #[error("{0}")]
    Failed(LoadError),
    /// The server is stopping.
    #[error("the server is stopping")]
    Stopping,
}

/// What a manager works with.
pub struct ManagerParts {
    /// Makes candidates serve.
    pub loader: Arc<Loader>,
    /// Where what serves is published.
    pub registry: Registry,
    /// Where candidates come from, one source a tenant.
    pub sources: HashMap<TenantName, Directory>,
    /// Set once every wanted model has been tried.
    pub ready: Arc<AtomicBool>,
}

/// Tells the manager's task what to do, and what it has done. A clone is shallow; the task ends when
/// the last is gone or when told to [`stop`](Manager::stop).
#[derive(Clone)]
pub struct Manager {
    events: mpsc::Sender<Event>,
    shared: Arc<Shared>,
}

struct Shared {
    sources: HashMap<TenantName, Directory>,
    degraded: ArcSwap<HashMap<TenantName, String>>,
}

/// Everything the manager wakes up for.
enum Event {
    /// A source has announced what it sees.
    Aspired(Arc<Aspired>),
    /// A load has ended.
    Loaded { key: Key, version: Version, digest: Digest, outcome: Result<Loaded, LoadError> },
    /// What made a load fail may have passed.
    Retry { key: Key, version: Version },
    /// A version has answered its last request and is gone.
    Drained { key: Key, version: Version },
    /// Somebody wants a model loaded, and has had the repository looked at for it.
    Load { key: Key, aspired: Arc<Aspired>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody wants a model unloaded.
    Unload { key: Key, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Somebody wants to know how things are.
    Index { tenant: TenantName, reply: oneshot::Sender<Vec<IndexEntry>> },
    /// The server is stopping: everything is to be unloaded.
    Stop { reply: oneshot::Sender<()> },
}

type Key = (TenantName, ModelName);

/// Events that may wait. Senders wait in turn, so nothing is lost.
const MAX_EVENTS: usize = 256;

impl Manager {
    /// Starts the manager's task, and one for every source.
    pub fn start(parts: ManagerParts, metrics: &mut MetricsRegistry) -> Manager {
        let (events, inbox) = mpsc::channel(MAX_EVENTS);
        let ManagerParts { loader, registry, sources, ready } = parts;
        for source in sources.values() {
            tokio::spawn(announce(source.subscribe(), events.clone()));
        }
        let waiting_sources = sources.len();
        let shared = Arc::new(Shared { sources, degraded: ArcSwap::default() });
        let task = Task {
            loader,
            registry,
            ready,
            shared: shared.clone(),
            events: events.downgrade(),
            models: BTreeMap::new(),
            changed: BTreeSet::new(),
            settled: HashMap::new(),
            waiting_sources,
            waiting: Vec::new(),
            stopping: None,
            metrics: Metrics::register(metrics),
        };
        tokio::spawn(async move {
            // What serves goes on serving; but nothing will be replaced any more, and somebody must know.
            if let Err(error) = tokio::spawn(task.run(inbox)).await {
                tracing::error!(%error, "the manager has ended unexpectedly; restart the server");
            }
        });
        Manager { events, shared }
    }

    /// What there is to say of each version of a tenant's models, by name. Empty once the server stops.
    pub async fn index(&self, tenant: &TenantName) -> Vec<IndexEntry> {
        let (reply, answer) = oneshot::channel();
        let asked = self.send(Event::Index { tenant: tenant.clone(), reply }).await;
        if asked.is_ok() { answer.await.unwrap_or_default() } else { Vec::new() }
    }

    /// Why a tenant's repository cannot be read at present, if it cannot.
    pub fn degraded(&self, tenant: &TenantName) -> Option<String> {
        self.shared.degraded.load().get(tenant).cloned()
    }

    /// Looks at the repository now, tries again what failed, and waits until the model serves or has
    /// failed. Fails if its newest content does not serve then.
    pub async fn load(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        let source = self.shared.sources.get(tenant).ok_or(CommandError::NotFound)?;
        let aspired = source.rescan().await.map_err(|_| CommandError::Stopping)?;
        let (reply, answer) = oneshot::channel();
        self.send(Event::Load { key: (tenant.clone(), name.clone()), aspired, reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Lets a model drain, and keeps it unloaded until it is asked for again. Returns before it has
    /// drained. Unloading what is not loaded succeeds.
    pub async fn unload(&self, tenant: &TenantName, name: &ModelName) -> Result<(), CommandError> {
        let (reply, answer) = oneshot::channel();
        self.send(Event::Unload { key: (tenant.clone(), name.clone()), reply }).await?;
        answer.await.map_err(|_| CommandError::Stopping)?
    }

    /// Unloads everything and waits until it is gone.
    pub async fn stop(&self) {
        let (reply, answer) = oneshot::channel();
        if self.send(Event::Stop { reply }).await.is_ok() {
            let _ = answer.await;
        }
    }

    async fn send(&self, event: Event) -> Result<(), CommandError> {
        self.events.send(event).await.map_err(|_| CommandError::Stopping)
    }
}

async fn announce(mut source: tokio::sync::watch::Receiver<Arc<Aspired>>, events: mpsc::Sender<Event>) {
    loop {
        let aspired = source.borrow_and_update().clone();
        if events.send(Event::Aspired(aspired)).await.is_err() || source.changed().await.is_err() {
            return;
        }
    }
}

struct Task {
    loader: Arc<Loader>,
    registry: Registry,
    ready: Arc<AtomicBool>,
    shared: Arc<Shared>,
    // Weak, so that the task ends with the last `Manager`.
    events: mpsc::WeakSender<Event>,
    models: BTreeMap<Key, ModelRecord>,
    /// What has changed since requests were last told.
    changed: BTreeSet<Key>,
    /// Which sources have seen everything settled at least once.
    settled: HashMap<TenantName, bool>,
    waiting_sources: usize,
    waiting: Vec<(Key, oneshot::Sender<Result<(), CommandError>>)>,
    stopping: Option<oneshot::Sender<()>>,
    metrics: Metrics,
}

impl Task {
    async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
        while let Some(event) = inbox.recv().await {
            self.handle(event);
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
            Event::Loaded { key, version, digest, outcome } => self.loaded(key, version, digest, outcome),
            Event::Retry { key, version } => self.retry(&key, version),
            Event::Drained { key, version } => self.drained(&key, version),
            Event::Load { key, aspired, reply } => {
                self.merge(&aspired);
                self.demand(key, reply);
            }
            Event::Unload { key, reply } => {
                let _ = reply.send(self.unload(&key));
            }
            Event::Index { tenant, reply } => {
                let _ = reply.send(self.index(&tenant));
            }
            Event::Stop { reply } => self.stop(reply),
        }
    }

    /// Takes over what a source sees. What it no longer sees is in the records of its tenant still.
    fn merge(&mut self, aspired: &Aspired) {
        self.note_degraded(aspired);
        if aspired.degraded.is_some() {
            return;
        }
        let tenant = &aspired.tenant;
        let names = aspired.seen.iter().map(|seen| seen.name().clone());
        let known = self.models.keys().filter(|(owner, _)| owner == tenant).map(|(_, name)| name.clone());
        let names: BTreeSet<_> = names.chain(known).collect();
        for name in names {
            let key = (tenant.clone(), name.clone());
            if self.models.entry(key.clone()).or_default().see(aspired.of(&name)) {
                self.drive(&key);
            }
        }
        self.settled.insert(tenant.clone(), aspired.first_settled);
    }

    fn note_degraded(&self, aspired: &Aspired) {
        let mut degraded = HashMap::clone(&self.shared.degraded.load());
        match &aspired.degraded {
            Some(reason) => degraded.insert(aspired.tenant.clone(), reason.clone()),
            None => degraded.remove(&aspired.tenant),
        };
        self.shared.degraded.store(Arc::new(degraded));
    }

    /// Starts whatever the policy wants done for a model, until it wants nothing more for now.
    fn drive(&mut self, key: &Key) {
        if self.stopping.is_none() {
            while let Some(action) = self.models.get(key).and_then(ModelRecord::next_action) {
                match action {
                    Action::Load(version) => self.start_loading(key, version),
                    Action::Unload(version) => self.stop_serving(key, version),
                }
            }
        }
        self.changed.insert(key.clone());
    }

    fn start_loading(&mut self, key: &Key, version: Version) {
        let candidate = self.models.get_mut(key).and_then(|record| record.start_loading(version));
        let (Some(candidate), Some(events)) = (candidate, self.events.upgrade()) else { return };
        tracing::info!(tenant = %key.0, model = %key.1, %version, digest = %candidate.digest, "loading");
        tokio::spawn(load(self.loader.clone(), key.clone(), candidate, events));
    }

    fn loaded(&mut self, key: Key, version: Version, digest: Digest, outcome: Result<Loaded, LoadError>) {
        self.metrics.loads.inc();
        let Some(record) = self.models.get_mut(&key) else { return };
        match outcome {
            Ok(loaded) if record.is_wanted() && self.stopping.is_none() => {
                tracing::info!(tenant = %key.0, model = %key.1, %version, "ready");
                self.metrics.swaps.inc();
                let before = record.serve(version, digest, loaded);
                self.end(&key, version, before);
            }
            // Loaded, and wanted no more: dropped here, before anybody saw it.
            Ok(_) => record.abandon(version),
            Err(error) => {
                tracing::warn!(tenant = %key.0, model = %key.1, %version, %error, "cannot serve");
                self.metrics.failures.inc();
                if error.stage.is_passing() {
                    self.events.upgrade().map(|events| tokio::spawn(retry_later(key.clone(), version, events)));
                }
                record.fail(version, digest, error);
            }
        }
        self.drive(&key);
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
            self.loader.forget_metrics(&ModelId { tenant: key.0.clone(), name: key.1.clone(), version });
        }
        self.drive(key);
        self.collect();
    }

    fn demand(&mut self, key: Key, reply: oneshot::Sender<Result<(), CommandError>>) {
        match self.models.get_mut(&key) {
            Some(record) if self.stopping.is_none() => {
                record.demand_again();
                self.waiting.push((key.clone(), reply));
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
        for record in self.models.values_mut() {
            record.demand_no_more();
        }
        for key in self.models.keys().cloned().collect::<Vec<_>>() {
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
        for (key, reply) in std::mem::take(&mut self.waiting) {
            match self.models.get(&key) {
                Some(record) if record.is_undecided() => self.waiting.push((key, reply)),
                Some(record) => drop(reply.send(record.outcome().map_err(CommandError::Failed))),
                None => drop(reply.send(Err(CommandError::NotFound))),
            }
        }
    }

    fn everything_tried(&self) -> bool {
        let settled = self.settled.values().filter(|settled| **settled).count();
        settled == self.waiting_sources && !self.models.values().any(ModelRecord::is_loading)
    }

    /// Lets the loader tidy up, unless there is work it would get in the way of.
    fn collect(&self) {
        if self.models.values().any(ModelRecord::is_loading) {
            return;
        }
        let candidates: Vec<Candidate> = self.models.values().flat_map(ModelRecord::candidates).cloned().collect();
        let loader = self.loader.clone();
        tokio::spawn(async move { loader.collect(candidates.iter()).await });
    }
}

async fn load(loader: Arc<Loader>, key: Key, candidate: Candidate, events: mpsc::Sender<Event>) {
    let (version, digest) = (candidate.version, candidate.digest);
    // A task of its own, so that a panic in it is a failed load and not a load that never ends.
    let tenant = key.0.clone();
    let load = tokio::spawn(async move { loader.load(&tenant, &candidate, &|_| {}).await });
    let outcome = load
        .await
        .unwrap_or_else(|error| Err(LoadError::new(Stage::Link, format!("loading ended unexpectedly: {error}"))));
    let _ = events.send(Event::Loaded { key, version, digest, outcome }).await;
}

/// How long a full disk or a file that keeps changing is given to pass.
const RETRY_AFTER: Duration = Duration::from_secs(5);

async fn retry_later(key: Key, version: Version, events: mpsc::Sender<Event>) {
    tokio::time::sleep(RETRY_AFTER).await;
    let _ = events.send(Event::Retry { key, version }).await;
}

/// What is counted of the manager's work.
struct Metrics {
    loads: Counter,
    failures: Counter,
    swaps: Counter,
}

impl Metrics {
    fn register(registry: &mut MetricsRegistry) -> Self {
        let metrics = Metrics { loads: Counter::default(), failures: Counter::default(), swaps: Counter::default() };
        registry.register("loads", "Loads that have ended, well or not", metrics.loads.clone());
        registry.register("load_failures", "Loads that failed", metrics.failures.clone());
        registry.register("swaps", "Versions that went live", metrics.swaps.clone());
        metrics
    }
}

//! The one task that decides what serves.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry as MetricsRegistry;
use tokio::sync::{mpsc, oneshot};

use super::drain::Ending;
use super::index::IndexEntry;
use super::loader::Loader;
use super::manager::{CommandError, Event, Key, Shared};
use super::policy::Action;
use super::record::{Loaded, ModelRecord};
use crate::model::{LoadError, ModelId, Stage, TenantName, Version};
use crate::registry::Registry;
use crate::repository::{Aspired, Candidate, Digest};

/// What the manager's task knows and works with.
pub(super) struct Task {
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
    /// Who waits for a model to have been loaded.
    waiting: Vec<(Key, oneshot::Sender<Result<(), CommandError>>)>,
    /// Who waits for everything to be gone; nothing is loaded any more once somebody does.
    stopping: Option<oneshot::Sender<()>>,
    metrics: Metrics,
}

impl Task {
    pub(super) fn new(
        loader: Arc<Loader>,
        registry: Registry,
        ready: Arc<AtomicBool>,
        shared: Arc<Shared>,
        events: mpsc::WeakSender<Event>,
        metrics: &mut MetricsRegistry,
    ) -> Self {
        let metrics = Metrics::register(metrics);
        let (models, changed, settled, waiting, stopping) = Default::default();
        Task { loader, registry, ready, shared, events, models, changed, settled, waiting, stopping, metrics }
    }

    /// Handles one event after another, until everything is unloaded or nobody is left to send any.
    pub(super) async fn run(mut self, mut inbox: mpsc::Receiver<Event>) {
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
        settled == self.shared.sources.len() && !self.models.values().any(ModelRecord::is_loading)
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

//! Runs deferred tasks.
//!
//! A [`TaskChain`] holds the tasks of one request. It comes from the call that deferred them, or
//! from the disk after a restart, and runs in a Tokio task of its own ([`run`]): one try after
//! another, each in the version that serves then, while the chain holds its session's lock. Only
//! some of a model's chains run at once ([`places`]), so that requests find free instances.
//!
//! A stop of the server loses no task: unfinished tasks are on disk and are found when their model
//! serves again. A stopping server first finishes the tasks that can run at once
//! ([`Deferred::drain`]), and after some time leaves the rest for the next start
//! ([`Deferred::stop`]).

mod places;
mod run;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::essential;
use crate::model::{InferError, ModelName, TenantName};
use crate::registry::Registry;
use crate::servable::{ModelSequences, Outcome, Sequences, TaskChain, TaskChains};
use crate::store::{tasks, totals};
use crate::tenant::Tenant;
use places::Places;

/// Runs deferred tasks. A clone is shallow.
#[derive(Clone)]
pub struct Deferred {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    sequences: Sequences,
    places: Places,
    live: Mutex<HashMap<Key, Arc<Live>>>,
    /// Chains left for the next start. They keep the locks of their sessions.
    left: Mutex<Vec<TaskChain>>,
    phase: watch::Sender<Phase>,
}

/// The phase of the server's shutdown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// Tasks run as they become due.
    #[default]
    Serving,
    /// Only tasks that need not wait are started.
    Draining,
    /// Running tasks are aborted.
    Stopped,
}

/// Tenant and chain id.
type Key = (TenantName, i64);

/// The state of a running chain that others access.
struct Live {
    tenant: Arc<Tenant>,
    /// The id of the running task; 0 if none runs.
    running: AtomicI64,
    /// Signals that one of the chain's tasks was cancelled.
    touched: Notify,
    /// Signals that the tenant was removed.
    dismissed: Notify,
}

/// A task, for the tenant's API.
#[derive(Clone, Debug)]
pub struct Task {
    /// The stored task.
    pub kept: tasks::Listed,
    /// True while a try runs.
    pub running: bool,
}

/// Interval at which expired sessions are removed.
const SWEEP: Duration = Duration::from_secs(1);

/// Delay before reading a model's pending tasks again after the store failed.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Deferred {
    /// Starts running the chains that `chains` delivers, in versions that serve.
    pub fn start(registry: Registry, sequences: Sequences, chains: TaskChains) -> Deferred {
        let (places, live, left, phase) = Default::default();
        let deferred =
            Deferred { inner: Arc::new(Inner { registry, sequences, places, live, left, phase }) };
        essential::spawn("deferred tasks", deferred.clone().take_in(chains));
        essential::spawn(
            "deferred tasks of an earlier run",
            deferred.clone().look_for_left_behind(),
        );
        essential::spawn("expiry of sessions", deferred.clone().sweep());
        deferred
    }

    /// Lists a tenant's tasks with ids greater than `after`, in order, at most `limit`.
    pub async fn list(
        &self,
        tenant: &Arc<Tenant>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Task>, InferError> {
        let store = self.inner.sequences.store(tenant);
        let listed = store.read(move |connection| tasks::list(connection, after, limit)).await;

        let listed = listed.map_err(|error| error.for_request(tenant))?;
        Ok(listed.into_iter().map(|kept| self.seen(tenant, kept)).collect())
    }

    /// Returns one task of a tenant; `None` if there is none with that id.
    pub async fn get(&self, tenant: &Arc<Tenant>, id: i64) -> Result<Option<Task>, InferError> {
        let found = self
            .inner
            .sequences
            .store(tenant)
            .read(move |connection| tasks::get(connection, id))
            .await;

        let found = found.map_err(|error| error.for_request(tenant))?;
        Ok(found.map(|kept| self.seen(tenant, kept)))
    }

    /// Removes a task and aborts its running try. Returns false if there is no such task.
    pub async fn cancel(&self, tenant: &Arc<Tenant>, id: i64) -> Result<bool, InferError> {
        let noted = tenant.clone();
        let remove = move |connection: &_| {
            let removed = tasks::remove(connection, id)?;
            // A failed task's chain went on without it and has ended.
            if let Some(task) = removed.as_ref().filter(|task| task.failed.is_none())
                && let Some(session) = &task.session
            {
                tasks::end_chain(connection, task.chain, &task.model, session)?;
            }
            totals::note(connection, &noted).map(|()| removed)
        };

        let removed = self.inner.sequences.store(tenant).write(remove).await;
        let Some(task) = removed.map_err(|error| error.for_request(tenant))? else {
            return Ok(false);
        };

        if let Some(live) = self.live().get(&(tenant.name().clone(), task.chain)) {
            live.touched.notify_one();
        }
        if task.failed.is_none()
            && let Ok(model) = ModelName::new(&task.model)
        {
            self.inner.sequences.count(tenant.name(), &model, Outcome::Cancelled);
        }
        Ok(true)
    }

    /// The sessions and tasks of a model.
    pub fn sequences(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSequences> {
        self.inner.sequences.of(tenant, model)
    }

    /// Stops the chains of a removed tenant. Its stored tasks stay.
    pub fn dismiss(&self, tenant: &TenantName) {
        let live = self.live();
        live.iter()
            .filter(|(key, _)| key.0 == *tenant)
            .for_each(|(_, live)| live.dismissed.notify_one());
        drop(live);
        self.inner.sequences.forget(tenant);
    }

    /// Waits until all tasks that can run now are done, and starts none that must wait. The rest
    /// stays on disk.
    pub async fn drain(&self) {
        self.inner.phase.send_replace(Phase::Draining);
        self.inner.sequences.idle().await;
    }

    /// Aborts running tasks and starts no more. They stay on disk; an aborted try counts.
    pub fn stop(&self) {
        let left = self.live().len();
        if left > 0 {
            tracing::warn!(
                left,
                "requests whose tasks are not done; they are done after the next start"
            );
        }

        self.inner.phase.send_replace(Phase::Stopped);
    }

    /// Waits until the shutdown has reached `phase`.
    async fn until_phase(&self, phase: Phase) {
        // The sender lives as long as `self`, so the channel is never closed.
        let _ = self.inner.phase.subscribe().wait_for(|&now| now >= phase).await;
    }

    /// Keeps a chain, with its session's lock, until the server ends: requests that wait for the
    /// session must not overtake its tasks.
    fn leave(&self, mut chain: TaskChain) {
        chain.leave();
        self.inner.left.lock().unwrap_or_else(PoisonError::into_inner).push(chain);
    }

    fn seen(&self, tenant: &Tenant, kept: tasks::Listed) -> Task {
        let live = self.live().get(&(tenant.name().clone(), kept.chain)).cloned();
        let running = live.is_some_and(|live| live.running.load(Ordering::Relaxed) == kept.id);
        Task { running, kept }
    }

    async fn take_in(self, mut chains: TaskChains) {
        while let Some(chain) = chains.recv().await {
            if let Some((live, end)) = self.begin(&chain) {
                tokio::spawn(self.clone().work_off(chain, live, end));
            }
        }
    }

    /// Registers a running chain. Returns `None` if it is registered already or its tenant was
    /// removed.
    fn begin(&self, chain: &TaskChain) -> Option<(Arc<Live>, End)> {
        let (tenant, key) = (chain.tenant(), (chain.tenant().name().clone(), chain.id()));

        let mut lives = self.live();
        // A chain can be both handed over and found on disk.
        if lives.get(&key).is_some_and(|live| Arc::ptr_eq(&live.tenant, tenant)) {
            return None;
        }
        // Checked under the lock: a removal after this finds the chain in the map.
        if tenant.is_dismissed() {
            return None;
        }

        let live = Arc::new(Live::of(tenant));
        lives.insert(key.clone(), live.clone());
        Some((live.clone(), End { deferred: self.clone(), key, live }))
    }

    /// Resumes the pending chains of an earlier run, for each model once it serves.
    async fn look_for_left_behind(self) {
        let mut changes = self.inner.registry.changes();
        loop {
            changes.borrow_and_update();
            let mut complete = true;
            let serving = self.inner.registry.serving();
            for sequences in serving.iter().filter_map(|servable| servable.sequences()) {
                if let Err(error) = sequences.resume().await {
                    let (tenant, model) = (sequences.tenant().name(), sequences.model());
                    tracing::warn!(%tenant, %model, %error, "cannot read which tasks wait");
                    complete = false;
                }
            }
            // Holding the handles would keep the versions from draining.
            drop(serving);

            let look_again = async {
                if complete {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(LOOK_AGAIN).await
                }
            };

            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = look_again => {}
            }
        }
    }

    async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP);
        loop {
            ticks.tick().await;
            self.inner.sequences.sweep().await;
        }
    }

    fn live(&self) -> MutexGuard<'_, HashMap<Key, Arc<Live>>> {
        self.inner.live.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Live {
    fn of(tenant: &Arc<Tenant>) -> Self {
        let (running, touched, dismissed) = Default::default();
        Live { tenant: tenant.clone(), running, touched, dismissed }
    }
}

/// Unregisters a chain on drop.
struct End {
    deferred: Deferred,
    key: Key,
    live: Arc<Live>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut lives = self.deferred.live();
        // The chain of a later tenant with the same name may have replaced it.
        if lives.get(&self.key).is_some_and(|live| Arc::ptr_eq(live, &self.live)) {
            lives.remove(&self.key);
        }
    }
}

//! Does what requests have left for later.
//!
//! A [`TaskChain`] is the tasks of one request. It comes from the call that has left them behind,
//! or from the disk after a restart, and is worked off by a task of its own ([`run`]): one try
//! after another, each in the version that serves then, while the chain owns its session. So that
//! requests find room beside them, only some of a model's chains are at work at once ([`places`]).
//!
//! Nothing is lost where this ends: what is not done is on disk, and is found when its model serves
//! again. A server that stops has what can run now done first ([`Deferred::drain`]), and after some
//! time leaves the rest where it is ([`Deferred::stop`]).

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

/// Does what requests have left for later. A clone is shallow.
#[derive(Clone)]
pub struct Deferred {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    sequences: Sequences,
    places: Places,
    live: Mutex<HashMap<Key, Arc<Live>>>,
    /// TaskChains that are left for the next start, with their sessions.
    left: Mutex<Vec<TaskChain>>,
    phase: watch::Sender<Phase>,
}

/// How near the end of the server is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd)]
enum Phase {
    /// Nobody has told it to stop.
    #[default]
    Serving,
    /// Nothing begins that has to wait.
    Draining,
    /// Nothing goes on.
    Stopped,
}

/// Of which tenant, and its number.
type Key = (TenantName, i64);

/// What can be seen of a chain from outside while it is worked off.
struct Live {
    tenant: Arc<Tenant>,
    /// The task that runs, if one does.
    running: AtomicI64,
    /// A task of it was cancelled.
    touched: Notify,
    /// Its tenant is no more.
    dismissed: Notify,
}

/// A task as its tenant sees it.
#[derive(Clone, Debug)]
pub struct Task {
    /// What is kept of it.
    pub kept: tasks::Listed,
    /// Whether it runs now.
    pub running: bool,
}

/// How often sessions are looked at whose time is over.
const SWEEP: Duration = Duration::from_secs(1);

/// How long to wait before looking again for what was left behind, where that could not be read.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

impl Deferred {
    /// Starts working off what comes out there, in versions that serve.
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

    /// What is kept of a tenant's tasks after that number, in order, at most `limit`.
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

    /// One task of a tenant; `None` if there is none of that number.
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

    /// Removes a task, and ends it if it runs. Tells whether there was one.
    pub async fn cancel(&self, tenant: &Arc<Tenant>, id: i64) -> Result<bool, InferError> {
        let noted = tenant.clone();
        let remove = move |connection: &_| {
            let removed = tasks::remove(connection, id)?;
            // The chain of one that was given up has gone on without it, and ended.
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

    /// The sessions and tasks of one of a tenant's models.
    pub fn sequences(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSequences> {
        self.inner.sequences.of(tenant, model)
    }

    /// Lets go of a tenant that is no more. What is kept for it stays.
    pub fn dismiss(&self, tenant: &TenantName) {
        let live = self.live();
        live.iter()
            .filter(|(key, _)| key.0 == *tenant)
            .for_each(|(_, live)| live.dismissed.notify_one());
        drop(live);
        self.inner.sequences.forget(tenant);
    }

    /// Waits until what can be done now is done, and begins nothing that has to wait. The rest is
    /// on disk.
    pub async fn drain(&self) {
        self.inner.phase.send_replace(Phase::Draining);
        self.inner.sequences.idle().await;
    }

    /// Ends the tasks that run, and begins no more. They are on disk; a try that is ended so
    /// counts.
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

    /// Resolves once the server is as near its end.
    async fn until_phase(&self, phase: Phase) {
        // The sender is here, so it is never closed.
        let _ = self.inner.phase.subscribe().wait_for(|&now| now >= phase).await;
    }

    /// Leaves a chain for the next start. A request that still waits for its session must not
    /// overtake it.
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

    /// Notes that a chain is worked off; `None` if that is so already, or if its tenant is no more.
    fn begin(&self, chain: &TaskChain) -> Option<(Arc<Live>, End)> {
        let (tenant, key) = (chain.tenant(), (chain.tenant().name().clone(), chain.id()));
        let mut lives = self.live();
        // It was both handed over and found on disk.
        if lives.get(&key).is_some_and(|live| Arc::ptr_eq(&live.tenant, tenant)) {
            return None;
        }
        // Asked while the chains are locked: whoever is dismissed later finds it among them.
        if tenant.is_dismissed() {
            return None;
        }
        let live = Arc::new(Live::of(tenant));
        lives.insert(key.clone(), live.clone());
        Some((live.clone(), End { deferred: self.clone(), key, live }))
    }

    /// Finds what was left behind before the start, of every model that serves now and from now on.
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
            // A version must not be kept from draining by this.
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

/// Notes that a chain is no longer worked off.
struct End {
    deferred: Deferred,
    key: Key,
    live: Arc<Live>,
}

impl Drop for End {
    fn drop(&mut self) {
        let mut lives = self.deferred.live();
        // A successor of its tenant may work it off by now.
        if lives.get(&self.key).is_some_and(|live| Arc::ptr_eq(live, &self.live)) {
            lives.remove(&self.key);
        }
    }
}

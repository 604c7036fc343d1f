//! Runs deferred tasks.
//!
//! A [`TaskChain`] holds the tasks of one request. It comes from the call that deferred them, or
//! from the disk after a restart, and runs in a Tokio task of its own ([`chain_runner`]):
//! one try after another, each in the version that serves then, while the chain holds its session's
//! lock. Only some of a model's chains run at once ([`concurrency`]), so that requests find free
//! instances.
//!
//! A stop of the server loses no task: unfinished tasks are on disk and are found when their model
//! serves again. A stopping server first finishes the tasks that can run at once
//! ([`TaskRunner::drain`]), and after some time leaves the rest for the next start
//! ([`TaskRunner::stop`]).

mod chain_runner;
mod concurrency;

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::Duration;

use tokio::sync::{Notify, watch};

use crate::essential;
use crate::model::{InferError, ModelName, TenantName};
use crate::mutex::lock;
use crate::registry::Registry;
use crate::servable::{ModelSessions, Sessions, TaskChain, TaskChains, TaskOutcome};
use crate::store::tasks::TaskInfo;
use crate::tenant::Tenant;
use concurrency::TaskConcurrency;

/// Runs deferred tasks. A clone is shallow.
#[derive(Clone)]
pub struct TaskRunner {
    inner: Arc<Inner>,
}

struct Inner {
    registry: Registry,
    sessions: Sessions,
    concurrency: TaskConcurrency,
    running: Mutex<HashMap<Key, Arc<RunningChain>>>,
    /// Chains left for the next start. They keep the locks of their sessions.
    left_for_restart: Mutex<Vec<TaskChain>>,
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
struct RunningChain {
    tenant: Arc<Tenant>,
    /// The id of the running task; 0 if none runs.
    running_task: AtomicI64,
    /// Signals that one of the chain's tasks was cancelled.
    task_cancelled: Notify,
    /// Signals that the tenant was removed.
    tenant_removed: Notify,
}

/// A task, for the tenant's API.
#[derive(Clone, Debug)]
pub struct Task {
    /// The stored task.
    pub kept: TaskInfo,
    /// True while a try runs.
    pub running: bool,
}

/// Interval at which expired sessions are removed.
const SWEEP_INTERVAL: Duration = Duration::from_secs(1);

/// Delay before reading a model's pending tasks again after the store failed.
const RESUME_RETRY: Duration = Duration::from_secs(1);

impl TaskRunner {
    /// Starts running the chains that `chains` delivers, in versions that serve.
    pub fn start(registry: Registry, sessions: Sessions, chains: TaskChains) -> TaskRunner {
        let runner = TaskRunner {
            inner: Arc::new(Inner {
                registry,
                sessions,
                concurrency: TaskConcurrency::default(),
                running: Mutex::default(),
                left_for_restart: Mutex::default(),
                phase: watch::Sender::default(),
            }),
        };

        essential::spawn("deferred tasks", runner.clone().receive_chains(chains));
        essential::spawn("deferred tasks of an earlier run", runner.clone().resume_chains());
        essential::spawn("expiry of sessions", runner.clone().sweep());
        runner
    }

    /// Lists a tenant's tasks with ids greater than `after`, in order, at most `limit`.
    pub async fn list(
        &self,
        tenant: &Arc<Tenant>,
        after: i64,
        limit: u32,
    ) -> Result<Vec<Task>, InferError> {
        let listed = self.inner.sessions.store(tenant).list_tasks(after, limit).await;
        let listed = listed.map_err(|error| error.into_infer_error(tenant))?;
        Ok(listed.into_iter().map(|kept| self.describe(tenant, kept)).collect())
    }

    /// Returns one task of a tenant; `None` if there is none with that id.
    pub async fn get(&self, tenant: &Arc<Tenant>, id: i64) -> Result<Option<Task>, InferError> {
        let found = self.inner.sessions.store(tenant).get_task(id).await;
        let found = found.map_err(|error| error.into_infer_error(tenant))?;
        Ok(found.map(|kept| self.describe(tenant, kept)))
    }

    /// Removes a task and aborts its running try. Returns false if there is no such task.
    pub async fn cancel(&self, tenant: &Arc<Tenant>, id: i64) -> Result<bool, InferError> {
        let removed = self.inner.sessions.store(tenant).delete_task(id).await;
        let Some(task) = removed.map_err(|error| error.into_infer_error(tenant))? else {
            return Ok(false);
        };

        if let Some(chain) = self.running().get(&(tenant.name().clone(), task.chain)) {
            chain.task_cancelled.notify_one();
        }
        if task.failed.is_none()
            && let Ok(model) = ModelName::new(&task.model)
        {
            self.inner.sessions.record_outcome(tenant.name(), &model, TaskOutcome::Cancelled);
        }
        Ok(true)
    }

    /// The sessions and tasks of a model.
    pub fn sessions(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSessions> {
        self.inner.sessions.for_model(tenant, model)
    }

    /// Stops the chains of a removed tenant. Its stored tasks stay.
    pub fn forget_tenant(&self, tenant: &TenantName) {
        let running = self.running();
        let of_tenant = running.iter().filter(|(key, _)| key.0 == *tenant);
        of_tenant.for_each(|(_, chain)| chain.tenant_removed.notify_one());
        drop(running);

        self.inner.sessions.forget_tenant(tenant);
    }

    /// Waits until all tasks that can run now are done, and starts none that must wait. The rest
    /// stays on disk.
    pub async fn drain(&self) {
        self.inner.phase.send_replace(Phase::Draining);
        self.inner.sessions.wait_until_idle().await;
    }

    /// Aborts running tasks and starts no more. They stay on disk; an aborted try counts.
    pub fn stop(&self) {
        let left = self.running().len();
        if left > 0 {
            tracing::warn!(
                left,
                "requests with unfinished tasks; the tasks run after the next start"
            );
        }

        self.inner.phase.send_replace(Phase::Stopped);
    }

    /// Waits until the shutdown has reached `phase`.
    async fn wait_for_phase(&self, phase: Phase) {
        // The sender lives as long as `self`, so the channel is never closed.
        let _ = self.inner.phase.subscribe().wait_for(|&now| now >= phase).await;
    }

    /// Keeps a chain, with its session's lock, until the server ends: requests that wait for the
    /// session must not overtake its tasks.
    fn leave(&self, mut chain: TaskChain) {
        chain.leave_for_restart();
        lock(&self.inner.left_for_restart).push(chain);
    }

    fn describe(&self, tenant: &Tenant, kept: TaskInfo) -> Task {
        let chain = self.running().get(&(tenant.name().clone(), kept.chain)).cloned();
        let running =
            chain.is_some_and(|chain| chain.running_task.load(Ordering::Relaxed) == kept.id);
        Task { running, kept }
    }

    async fn receive_chains(self, mut chains: TaskChains) {
        while let Some(chain) = chains.recv().await {
            if let Some((running, guard)) = self.register_chain(&chain) {
                tokio::spawn(self.clone().run_chain(chain, running, guard));
            }
        }
    }

    /// Registers a running chain. Returns `None` if it is registered already or its tenant was
    /// removed.
    fn register_chain(&self, chain: &TaskChain) -> Option<(Arc<RunningChain>, RunningChainGuard)> {
        let tenant = chain.tenant();
        let key = (chain.tenant().name().clone(), chain.id());

        let mut chains = self.running();
        // A chain can be both handed over and found on disk.
        if chains.get(&key).is_some_and(|running| Arc::ptr_eq(&running.tenant, tenant)) {
            return None;
        }
        // Checked under the lock: a removal after this finds the chain in the map.
        if tenant.is_removed() {
            return None;
        }

        let running = Arc::new(RunningChain::new(tenant));
        chains.insert(key.clone(), running.clone());
        let guard = RunningChainGuard { runner: self.clone(), key, chain: running.clone() };
        Some((running, guard))
    }

    /// Resumes the pending chains of an earlier run, for each model once it serves.
    async fn resume_chains(self) {
        let mut changes = self.inner.registry.changes();
        loop {
            changes.borrow_and_update();
            let mut complete = true;
            let serving = self.inner.registry.serving();
            for sessions in serving.iter().filter_map(|servable| servable.sessions()) {
                if let Err(error) = sessions.resume().await {
                    let tenant = sessions.tenant().name();
                    let model = sessions.model();
                    tracing::warn!(%tenant, %model, %error, "cannot read the pending tasks");
                    complete = false;
                }
            }
            // Holding the handles would keep the versions from draining.
            drop(serving);

            let retry = async {
                if complete {
                    std::future::pending().await
                } else {
                    tokio::time::sleep(RESUME_RETRY).await
                }
            };

            tokio::select! {
                changed = changes.changed() => if changed.is_err() { return },
                () = retry => {}
            }
        }
    }

    async fn sweep(self) {
        let mut ticks = tokio::time::interval(SWEEP_INTERVAL);
        loop {
            ticks.tick().await;
            self.inner.sessions.sweep().await;
        }
    }

    fn running(&self) -> MutexGuard<'_, HashMap<Key, Arc<RunningChain>>> {
        lock(&self.inner.running)
    }
}

impl RunningChain {
    fn new(tenant: &Arc<Tenant>) -> Self {
        RunningChain {
            tenant: tenant.clone(),
            running_task: AtomicI64::default(),
            task_cancelled: Notify::default(),
            tenant_removed: Notify::default(),
        }
    }
}

/// Unregisters a chain on drop.
struct RunningChainGuard {
    runner: TaskRunner,
    key: Key,
    chain: Arc<RunningChain>,
}

impl Drop for RunningChainGuard {
    fn drop(&mut self) {
        let mut chains = self.runner.running();
        // The chain of a later tenant with the same name may have replaced it.
        if chains.get(&self.key).is_some_and(|chain| Arc::ptr_eq(chain, &self.chain)) {
            chains.remove(&self.key);
        }
    }
}

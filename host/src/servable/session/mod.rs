//! Sessions and deferred tasks: the state of a model that outlives its requests.
//!
//! A session belongs to a tenant's model and not to a version, and so does the order of its
//! requests: all versions share one [`ModelSessions`], which lives as long as any of them or any
//! of their tasks. A request with a session waits for the session's lock ([`lock`]), loads the
//! state from disk, and commits the new state after a successful call ([`request_session`]). Tasks
//! that the call defers are committed with the state in one transaction; then the session's lock
//! passes to their [`TaskChain`], which is sent to the component that runs deferred tasks.
//!
//! A tenant that is removed and added again is a new tenant with the same sessions on disk.
//! Therefore a lock outlives its tenant while it is held or awaited. Tasks deferred for a removed
//! tenant go to its successor ([`Sessions::current_model`]), which otherwise finds them on disk.
//!
//! All state is on disk. When a model first serves after the start, its pending chains are read
//! from disk and lock their sessions before any request does ([`ModelSessions::resume`]).

mod lock;
mod metrics;
mod request_session;
mod task_chain;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, Weak};

use prometheus_client::registry::Registry;
use tokio::sync::{OnceCell, mpsc};

pub use metrics::TaskOutcome;
pub use task_chain::{AfterResponse, TaskChain};

use super::InFlight;
use crate::model::{InferError, ModelName, TenantName};
use crate::mutex::lock;
use crate::store::tasks::PendingChain;
use crate::store::{SessionStore, StoreError, Stores, unix_millis};
use crate::tenant::Tenant;
use lock::{SessionGuard, SessionLocks};
use metrics::SessionMetrics;

/// The sessions and tasks of all models. A clone is shallow.
#[derive(Clone)]
pub struct Sessions {
    stores: Stores,
    chain_sender: mpsc::UnboundedSender<TaskChain>,
    in_flight: InFlight,
    metrics: SessionMetrics,
    models: Arc<Mutex<Models>>,
}

#[derive(Default)]
struct Models {
    by_model: HashMap<Key, Weak<ModelSessions>>,
    /// The locks that are held or awaited, including those of removed tenants.
    locks: HashMap<Key, Weak<SessionLocks>>,
}

type Key = (TenantName, ModelName);

/// Receives the chains to run. Their number is bounded by the limit on pending tasks.
pub type TaskChains = mpsc::UnboundedReceiver<TaskChain>;

/// The sessions and tasks of one model, shared by its versions.
pub struct ModelSessions {
    tenant: Arc<Tenant>,
    model: ModelName,
    store: Arc<dyn SessionStore>,
    locks: Arc<SessionLocks>,
    resumed: OnceCell<()>,
    sessions: Sessions,
}

impl Sessions {
    /// Returns the sessions and tasks in `stores`, and the receiver of the chains to run.
    pub fn new(stores: Stores, registry: &mut Registry) -> (Sessions, TaskChains) {
        let (chains, out) = mpsc::unbounded_channel();
        let (in_flight, models) = Default::default();
        (
            Sessions {
                stores,
                chain_sender: chains,
                in_flight,
                metrics: SessionMetrics::register(registry),
                models,
            },
            out,
        )
    }

    /// Returns the sessions and tasks of one model.
    pub fn for_model(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSessions> {
        let key = (tenant.name().clone(), model.clone());
        // Dropped after the lock, because dropping the last reference takes the lock.
        let known;
        let mut models = self.lock();
        known = models.by_model.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.tenant, tenant)) {
            return known.clone();
        }

        let made = Arc::new(self.new_model(tenant, model, models.locks_of(&key)));
        // A removed tenant's remaining work must not replace the entry of its successor.
        if !tenant.is_removed() {
            models.by_model.retain(|_, sessions| sessions.strong_count() > 0);
            models.by_model.insert(key, Arc::downgrade(&made));
        }
        made
    }

    /// The sessions and tasks of a model of the current tenant with that name; `None` if they are
    /// not in use.
    fn current_model(&self, tenant: &TenantName, model: &ModelName) -> Option<Arc<ModelSessions>> {
        self.lock().by_model.get(&(tenant.clone(), model.clone())).and_then(Weak::upgrade)
    }

    fn new_model(
        &self,
        tenant: &Arc<Tenant>,
        model: &ModelName,
        locks: Arc<SessionLocks>,
    ) -> ModelSessions {
        ModelSessions {
            tenant: tenant.clone(),
            model: model.clone(),
            store: self.stores.sessions(tenant),
            locks,
            resumed: OnceCell::new(),
            sessions: self.clone(),
        }
    }

    /// Waits until no task chain is in flight.
    pub async fn wait_until_idle(&self) {
        self.in_flight.wait_until_idle().await;
    }

    /// The store of a tenant.
    pub fn store(&self, tenant: &Arc<Tenant>) -> Arc<dyn SessionStore> {
        self.stores.sessions(tenant)
    }

    /// Removes a tenant from memory. Its stored sessions and tasks stay.
    pub fn forget_tenant(&self, tenant: &TenantName) {
        self.stores.remove(tenant);
        self.lock().by_model.retain(|key, _| key.0 != *tenant);
    }

    /// Counts the outcome of a task that has no chain in memory.
    pub fn record_outcome(&self, tenant: &TenantName, model: &ModelName, outcome: TaskOutcome) {
        self.metrics.record_outcome(tenant, model, outcome);
    }

    /// Removes expired sessions and updates the numbers of sessions and tasks.
    pub async fn sweep(&self) {
        let models: Vec<_> = self.lock().by_model.values().filter_map(Weak::upgrade).collect();

        let in_use = models.into_iter().filter(|sessions| sessions.resumed.initialized());
        for sessions in in_use {
            if let Err(error) = sessions.sweep().await {
                let tenant = sessions.tenant.name();
                let model = &sessions.model;
                tracing::warn!(%tenant, %model, %error, "cannot remove expired sessions");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Models> {
        lock(&self.models)
    }
}

impl Models {
    fn locks_of(&mut self, key: &Key) -> Arc<SessionLocks> {
        if let Some(locks) = self.locks.get(key).and_then(Weak::upgrade) {
            return locks;
        }

        self.locks.retain(|_, locks| locks.strong_count() > 0);
        let locks = Arc::default();
        self.locks.insert(key.clone(), Arc::downgrade(&locks));
        locks
    }
}

impl ModelSessions {
    /// The tenant that owns the model.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The model whose sessions these are.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The store that holds them.
    pub fn store(&self) -> &dyn SessionStore {
        &*self.store
    }

    /// Reads the pending chains of an earlier run and submits them, once. Requests with sessions
    /// wait for it, so that a session's pending tasks run before its next request.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        let resume = async || {
            let chains = self.store.pending_chains(self.model.clone()).await?;
            for PendingChain { chain, session } in chains {
                self.resume_chain(chain, session).await;
            }

            Ok(())
        };
        self.resumed.get_or_try_init(resume).await.copied()
    }

    /// Submits a chain that was found on disk, once it has its session's lock.
    async fn resume_chain(self: &Arc<Self>, chain: i64, session: Option<String>) {
        let Some(id) = session else {
            return self.submit_chain(TaskChain::new(self.clone(), chain, None));
        };
        let this = self.clone();
        let line = self.locks.clone();
        let mut taken_up = Box::pin(async move {
            let owner = line.lock(&id).await;
            this.submit_chain(TaskChain::new(this.clone(), chain, Some((id, owner))));
        });

        // The chain is queued for the lock from here on, before the requests that wait for
        // `resume`. Only work of a removed tenant with the same name can be before it.
        if futures_util::poll!(taken_up.as_mut()).is_pending() {
            tokio::spawn(taken_up);
        }
    }

    /// Submits a new chain to the current tenant with that name. Returns `None`, and leaves the
    /// chain on disk, if the model is not in use.
    fn hand_over_chain(
        &self,
        chain: i64,
        session: Option<(String, SessionGuard)>,
    ) -> Option<AfterResponse> {
        let current = self.sessions.current_model(self.tenant.name(), &self.model)?;
        let (chain, after_response) =
            TaskChain::new(current.clone(), chain, session).begin_after_response();
        current.submit_chain(chain);
        Some(after_response)
    }

    fn submit_chain(&self, chain: TaskChain) {
        // Fails only if deferred tasks no longer run; the chain is on disk.
        let _ = self.sessions.chain_sender.send(chain);
    }

    /// Removes a session once it is not locked. Returns false if there is none.
    pub async fn remove(self: &Arc<Self>, id: &str) -> Result<bool, InferError> {
        self.resume().await.map_err(|error| error.into_infer_error(&self.tenant))?;
        let _owner = self.locks.lock(id).await;

        let removed = self.store.delete_session(self.model.clone(), id.to_owned()).await;
        removed.map_err(|error| error.into_infer_error(&self.tenant))
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let now = unix_millis();
        let usage = self.store.model_usage(self.model.clone(), now).await?;

        let tenant = self.tenant.name();
        self.sessions.metrics.set_counts(tenant, &self.model, usage.sessions, usage.tasks);

        let mut expired = usage.expired;
        // A current owner may have loaded the session before it expired. A later one will not find
        // it.
        expired.retain(|id| !self.locks.is_in_use(id));
        if expired.is_empty() {
            return Ok(());
        }

        self.store.delete_expired(self.model.clone(), expired, now).await
    }
}

impl Drop for ModelSessions {
    fn drop(&mut self) {
        // A successor's series have the same labels.
        if self.sessions.current_model(self.tenant.name(), &self.model).is_none() {
            self.sessions.metrics.forget(self.tenant.name(), &self.model);
        }
    }
}

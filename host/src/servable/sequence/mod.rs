//! Sessions and deferred tasks: the state of a model that outlives its requests.
//!
//! A session belongs to a tenant's model and not to a version, and so does the order of its
//! requests: all versions share one [`ModelSequences`], which lives as long as any of them or any
//! of their tasks. A request with a session waits for the session's lock ([`line`]), loads the
//! state from disk, and commits the new state after a successful call ([`Undertaking`]). Tasks that
//! the call defers are committed with the state in one transaction; then the session's lock passes
//! to their [`TaskChain`], which is sent to the component that runs deferred tasks.
//!
//! A tenant that is removed and added again is a new tenant with the same sessions on disk.
//! Therefore a lock outlives its tenant while it is held or awaited. Tasks deferred for a removed
//! tenant go to its successor ([`Sequences::current`]), which otherwise finds them on disk.
//!
//! All state is on disk. When a model first serves after the start, its pending chains are read
//! from disk and lock their sessions before any request does ([`ModelSequences::resume`]).

mod chain;
mod line;
mod metrics;
mod undertaking;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use prometheus_client::registry::Registry;
use tokio::sync::{OnceCell, mpsc};

pub use chain::{Afterwards, TaskChain};
pub use metrics::Outcome;

use super::InFlight;
use crate::model::{InferError, ModelName, TenantName};
use crate::store::{Store, StoreError, Stores, sessions, since_1970, tasks, totals};
use crate::tenant::Tenant;
use line::{Line, Owner};
use metrics::SequenceMetrics;

/// The sessions and tasks of all models. A clone is shallow.
#[derive(Clone)]
pub struct Sequences {
    stores: Stores,
    chains: mpsc::UnboundedSender<TaskChain>,
    in_flight: InFlight,
    metrics: SequenceMetrics,
    models: Arc<Mutex<Models>>,
}

#[derive(Default)]
struct Models {
    known: HashMap<Key, Weak<ModelSequences>>,
    /// The locks that are held or awaited, including those of removed tenants.
    lines: HashMap<Key, Weak<Line>>,
}

type Key = (TenantName, ModelName);

/// Receives the chains to run. Their number is bounded by the limit on pending tasks.
pub type TaskChains = mpsc::UnboundedReceiver<TaskChain>;

/// The sessions and tasks of one model, shared by its versions.
pub struct ModelSequences {
    tenant: Arc<Tenant>,
    model: ModelName,
    store: Store,
    line: Arc<Line>,
    resumed: OnceCell<()>,
    all: Sequences,
}

impl Sequences {
    /// Returns the sessions and tasks in `stores`, and the receiver of the chains to run.
    pub fn new(stores: Stores, registry: &mut Registry) -> (Sequences, TaskChains) {
        let (chains, out) = mpsc::unbounded_channel();
        let (in_flight, models) = Default::default();
        (
            Sequences {
                stores,
                chains,
                in_flight,
                metrics: SequenceMetrics::register(registry),
                models,
            },
            out,
        )
    }

    /// Returns the sessions and tasks of one model.
    pub fn of(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSequences> {
        let key = (tenant.name().clone(), model.clone());
        // Dropped after the lock, because dropping the last reference takes the lock.
        let known;
        let mut models = self.lock();
        known = models.known.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.tenant, tenant)) {
            return known.clone();
        }

        let made = Arc::new(self.make(tenant, model, models.line(&key)));
        // A removed tenant's remaining work must not replace the entry of its successor.
        if !tenant.is_dismissed() {
            models.known.retain(|_, sequences| sequences.strong_count() > 0);
            models.known.insert(key, Arc::downgrade(&made));
        }
        made
    }

    /// The sessions and tasks of a model of the current tenant with that name; `None` if they are
    /// not in use.
    fn current(&self, tenant: &TenantName, model: &ModelName) -> Option<Arc<ModelSequences>> {
        self.lock().known.get(&(tenant.clone(), model.clone())).and_then(Weak::upgrade)
    }

    fn make(&self, tenant: &Arc<Tenant>, model: &ModelName, line: Arc<Line>) -> ModelSequences {
        let (tenant, model, store) = (tenant.clone(), model.clone(), self.stores.of(tenant));
        ModelSequences { tenant, model, store, line, resumed: OnceCell::new(), all: self.clone() }
    }

    /// Waits until no task chain is in flight.
    pub async fn idle(&self) {
        self.in_flight.ended().await;
    }

    /// The store of a tenant.
    pub fn store(&self, tenant: &Arc<Tenant>) -> Store {
        self.stores.of(tenant)
    }

    /// Removes a tenant from memory. Its stored sessions and tasks stay.
    pub fn forget(&self, tenant: &TenantName) {
        self.stores.forget(tenant);
        self.lock().known.retain(|key, _| key.0 != *tenant);
    }

    /// Counts the outcome of a task that has no chain in memory.
    pub fn count(&self, tenant: &TenantName, model: &ModelName, outcome: Outcome) {
        self.metrics.count(tenant, model, outcome);
    }

    /// Removes expired sessions and updates the numbers of sessions and tasks.
    pub async fn sweep(&self) {
        let models: Vec<_> = self.lock().known.values().filter_map(Weak::upgrade).collect();

        let in_use = models.into_iter().filter(|sequences| sequences.resumed.initialized());
        for sequences in in_use {
            if let Err(error) = sequences.sweep().await {
                let (tenant, model) = (sequences.tenant.name(), &sequences.model);
                tracing::warn!(%tenant, %model, %error, "cannot remove sessions whose time is over");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Models> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Models {
    fn line(&mut self, key: &Key) -> Arc<Line> {
        if let Some(line) = self.lines.get(key).and_then(Weak::upgrade) {
            return line;
        }

        self.lines.retain(|_, line| line.strong_count() > 0);
        let line = Arc::default();
        self.lines.insert(key.clone(), Arc::downgrade(&line));
        line
    }
}

impl ModelSequences {
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// The store that holds them.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Reads the pending chains of an earlier run and submits them, once. Requests with sessions
    /// wait for it, so that a session's pending tasks run before its next request.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        let resume = async || {
            let (model, tenant) = (self.model.clone(), self.tenant.clone());
            let find = move |connection: &_| {
                totals::note(connection, &tenant).and(tasks::pending(connection, &model))
            };
            for tasks::Pending { chain, session } in self.store.read(find).await? {
                self.take_up(chain, session).await;
            }
            Ok(())
        };
        self.resumed.get_or_try_init(resume).await.copied()
    }

    /// Submits a chain that was found on disk, once it has its session's lock.
    async fn take_up(self: &Arc<Self>, chain: i64, session: Option<String>) {
        let Some(id) = session else {
            return self.have_done(TaskChain::new(self.clone(), chain, None));
        };
        let (this, line) = (self.clone(), self.line.clone());
        let mut taken_up = Box::pin(async move {
            let owner = line.own(&id).await;
            this.have_done(TaskChain::new(this.clone(), chain, Some((id, owner))));
        });

        // The chain is queued for the lock from here on, before the requests that wait for
        // `resume`. Only work of a removed tenant with the same name can be before it.
        if futures_util::poll!(taken_up.as_mut()).is_pending() {
            tokio::spawn(taken_up);
        }
    }

    /// Submits a new chain to the current tenant with that name. Returns `None`, and leaves the
    /// chain on disk, if the model is not in use.
    fn hand_over(&self, chain: i64, session: Option<(String, Owner)>) -> Option<Afterwards> {
        let current = self.all.current(self.tenant.name(), &self.model)?;
        let (chain, afterwards) = TaskChain::new(current.clone(), chain, session).after_response();
        current.have_done(chain);
        Some(afterwards)
    }

    fn have_done(&self, chain: TaskChain) {
        // Fails only if deferred tasks no longer run; the chain is on disk.
        let _ = self.all.chains.send(chain);
    }

    /// Removes a session once it is not locked. Returns false if there is none.
    pub async fn remove(self: &Arc<Self>, id: &str) -> Result<bool, InferError> {
        self.resume().await.map_err(|error| error.for_request(&self.tenant))?;
        let _owner = self.line.own(id).await;

        let (model, tenant, id) = (self.model.clone(), self.tenant.clone(), id.to_owned());
        let removed = self.store.write(move |connection| {
            let removed = sessions::remove(connection, &model, &id)?;
            totals::note(connection, &tenant).map(|()| removed)
        });
        removed.await.map_err(|error| error.for_request(&self.tenant))
    }

    async fn sweep(&self) -> Result<(), StoreError> {
        let (model, now) = (self.model.clone(), since_1970());
        let look = move |connection: &_| {
            let amounts = [totals::Kind::Sessions, totals::Kind::Tasks]
                .map(|kind| totals::of(connection, kind, &model));
            let [kept, waiting] = amounts;
            Ok((sessions::expired(connection, &model, now)?, kept?, waiting?))
        };

        let (mut expired, kept, waiting) = self.store.read(look).await?;

        self.all.metrics.show(self.tenant.name(), &self.model, kept, waiting);
        // A current owner may have loaded the session before it expired. A later one will not find
        // it.
        expired.retain(|id| !self.line.is_live(id));
        if expired.is_empty() {
            return Ok(());
        }
        let (model, tenant) = (self.model.clone(), self.tenant.clone());
        let forget = move |connection: &_| {
            sessions::expire(connection, &model, &expired, now)?;
            totals::note(connection, &tenant)
        };

        self.store.write(forget).await
    }
}

impl Drop for ModelSequences {
    fn drop(&mut self) {
        // A successor's series have the same labels.
        if self.all.current(self.tenant.name(), &self.model).is_none() {
            self.all.metrics.forget(self.tenant.name(), &self.model);
        }
    }
}

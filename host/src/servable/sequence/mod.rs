//! What outlives the requests of a model: its sessions, and the tasks they have left for later.
//!
//! A session belongs to a tenant's model and to none of its versions, so what orders its requests does too: all
//! versions share one [`ModelSequences`], which lasts as long as any of them, or a task of theirs. A request that
//! names a session waits in its [`line`], finds the state on disk, and has it kept when the call has gone well, see
//! [`Undertaking`]. If the call leaves tasks behind they are kept with the state in one transaction, and the right to
//! the session goes to the [`TaskChain`] of them, which is handed to whoever does such tasks.
//!
//! Nothing of that is in memory only. When a model serves for the first time since the start, the chains that are
//! not at their end are found on disk and get their sessions before any request does ([`ModelSequences::resume`]).

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
use line::Line;
use metrics::SequenceMetrics;

/// The sessions and tasks of all models. A clone is shallow.
#[derive(Clone)]
pub struct Sequences {
    stores: Stores,
    chains: mpsc::UnboundedSender<TaskChain>,
    in_flight: InFlight,
    metrics: SequenceMetrics,
    models: Arc<Mutex<HashMap<Key, Weak<ModelSequences>>>>,
}

type Key = (TenantName, ModelName);

/// Where chains come out that are to be done. There are no more of them than tasks may wait.
pub type TaskChains = mpsc::UnboundedReceiver<TaskChain>;

/// The sessions and tasks of one model, whatever its version.
pub struct ModelSequences {
    tenant: Arc<Tenant>,
    model: ModelName,
    store: Store,
    line: Arc<Line>,
    resumed: OnceCell<()>,
    chains: mpsc::UnboundedSender<TaskChain>,
    in_flight: InFlight,
    metrics: SequenceMetrics,
}

impl Sequences {
    /// Sessions and tasks that are kept in these stores, and where the tasks come out.
    pub fn new(stores: Stores, registry: &mut Registry) -> (Sequences, TaskChains) {
        let (chains, out) = mpsc::unbounded_channel();
        let (in_flight, models) = Default::default();
        (Sequences { stores, chains, in_flight, metrics: SequenceMetrics::register(registry), models }, out)
    }

    /// The sessions and tasks of one model.
    pub fn of(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSequences> {
        let mut models = self.lock();
        let key = (tenant.name().clone(), model.clone());
        let known = models.get(&key).and_then(Weak::upgrade);
        // A tenant that was removed and is there again is another one.
        if let Some(known) = known.filter(|known| Arc::ptr_eq(&known.tenant, tenant)) {
            return known;
        }
        models.retain(|_, sequences| sequences.strong_count() > 0);
        let made = Arc::new(self.make(tenant, model));
        models.insert(key, Arc::downgrade(&made));
        made
    }

    fn make(&self, tenant: &Arc<Tenant>, model: &ModelName) -> ModelSequences {
        ModelSequences {
            tenant: tenant.clone(),
            model: model.clone(),
            store: self.stores.of(tenant),
            line: Arc::default(),
            resumed: OnceCell::new(),
            chains: self.chains.clone(),
            in_flight: self.in_flight.clone(),
            metrics: self.metrics.clone(),
        }
    }

    /// Waits until no tasks are under way.
    pub async fn idle(&self) {
        self.in_flight.ended().await;
    }

    /// What is kept for a tenant.
    pub fn store(&self, tenant: &Arc<Tenant>) -> Store {
        self.stores.of(tenant)
    }

    /// Forgets a tenant that is gone. What is kept for it stays.
    pub fn forget(&self, tenant: &TenantName) {
        self.stores.forget(tenant);
        self.lock().retain(|key, _| key.0 != *tenant);
    }

    /// Counts what has come of a task that no chain knows of.
    pub fn count(&self, tenant: &TenantName, model: &ModelName, outcome: Outcome) {
        self.metrics.count(tenant, model, outcome);
    }

    /// Removes sessions whose time is over, and shows how many there are.
    pub async fn sweep(&self) {
        let models: Vec<_> = self.lock().values().filter_map(Weak::upgrade).collect();
        let in_use = models.into_iter().filter(|sequences| sequences.resumed.initialized());
        for sequences in in_use {
            if let Err(error) = sequences.sweep().await {
                let (tenant, model) = (sequences.tenant.name(), &sequences.model);
                tracing::warn!(%tenant, %model, %error, "cannot remove sessions whose time is over");
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<Key, Weak<ModelSequences>>> {
        self.models.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ModelSequences {
    /// Whose they are.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// The model.
    pub fn model(&self) -> &ModelName {
        &self.model
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        &self.store
    }

    /// Finds the tasks that were left behind before the server was started, and has them done. Does so once; requests
    /// of sessions wait for it, because those with tasks come after their tasks.
    pub async fn resume(self: &Arc<Self>) -> Result<(), StoreError> {
        let resume = async || {
            let (model, tenant) = (self.model.clone(), self.tenant.clone());
            let find = move |connection: &_| totals::note(connection, &tenant).and(tasks::pending(connection, &model));
            for tasks::Pending { chain, session } in self.store.read(find).await? {
                // Nobody else can have it yet: requests wait, and a session has one chain at a time.
                let owned = session.and_then(|id| self.line.try_own(&id).map(|owner| (id, owner)));
                let _ = self.chains.send(TaskChain::new(self.clone(), chain, owned));
            }
            Ok(())
        };
        self.resumed.get_or_try_init(resume).await.copied()
    }

    /// Removes a session once nobody works with it. Tells whether there was one.
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
            let amounts =
                [totals::Kind::Sessions, totals::Kind::Tasks].map(|kind| totals::of(connection, kind, &model));
            let [kept, waiting] = amounts;
            Ok((sessions::expired(connection, &model, now)?, kept?, waiting?))
        };
        let (mut expired, kept, waiting) = self.store.read(look).await?;
        self.metrics.show(self.tenant.name(), &self.model, kept, waiting);
        // Whoever owns one now may have found it in time. Whoever comes later will not.
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
        self.metrics.forget(self.tenant.name(), &self.model);
    }
}

//! What outlives the requests of a model: its sessions, and the tasks they have left for later.
//!
//! A session belongs to a tenant's model and to none of its versions, so what orders its requests
//! does too: all versions share one [`ModelSequences`], which lasts as long as any of them, or a
//! task of theirs. A request that names a session waits in its [`line`], finds the state on disk,
//! and has it kept when the call has gone well, see [`Undertaking`]. If the call leaves tasks
//! behind they are kept with the state in one transaction, and the right to the session goes to the
//! [`TaskChain`] of them, which is handed to whoever does such tasks.
//!
//! A tenant that is removed and comes back is another one, but its sessions are those on disk. So
//! the line outlives the tenant while anybody is in it, and what is left behind for one that is no
//! more goes to its successor ([`Sequences::current`]), or is found by it on disk.
//!
//! Nothing of that is in memory only. When a model serves for the first time since the start, the
//! chains that are not at their end are found on disk and get their sessions before any request
//! does ([`ModelSequences::resume`]).

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
    /// Of whoever is in one, also for a tenant that is no more.
    lines: HashMap<Key, Weak<Line>>,
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
    all: Sequences,
}

impl Sequences {
    /// Sessions and tasks that are kept in these stores, and where the tasks come out.
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

    /// The sessions and tasks of one model.
    pub fn of(&self, tenant: &Arc<Tenant>, model: &ModelName) -> Arc<ModelSequences> {
        let key = (tenant.name().clone(), model.clone());
        // Dropped after the lock is: the last one of them looks here for its successor.
        let known;
        let mut models = self.lock();
        known = models.known.get(&key).and_then(Weak::upgrade);
        if let Some(known) = known.as_ref().filter(|known| Arc::ptr_eq(&known.tenant, tenant)) {
            return known.clone();
        }
        let made = Arc::new(self.make(tenant, model, models.line(&key)));
        // What is still under way for a tenant that is no more must not stand in the way of its
        // successor.
        if !tenant.is_dismissed() {
            models.known.retain(|_, sequences| sequences.strong_count() > 0);
            models.known.insert(key, Arc::downgrade(&made));
        }
        made
    }

    /// The sessions and tasks of one model of the tenant that has that name now, if anybody uses
    /// them.
    fn current(&self, tenant: &TenantName, model: &ModelName) -> Option<Arc<ModelSequences>> {
        self.lock().known.get(&(tenant.clone(), model.clone())).and_then(Weak::upgrade)
    }

    fn make(&self, tenant: &Arc<Tenant>, model: &ModelName, line: Arc<Line>) -> ModelSequences {
        let (tenant, model, store) = (tenant.clone(), model.clone(), self.stores.of(tenant));
        ModelSequences { tenant, model, store, line, resumed: OnceCell::new(), all: self.clone() }
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
        self.lock().known.retain(|key, _| key.0 != *tenant);
    }

    /// Counts what has come of a task that no chain knows of.
    pub fn count(&self, tenant: &TenantName, model: &ModelName, outcome: Outcome) {
        self.metrics.count(tenant, model, outcome);
    }

    /// Removes sessions whose time is over, and shows how many there are.
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

    /// Finds the tasks that were left behind before the server was started, and has them done. Does
    /// so once; requests of sessions wait for it, because those with tasks come after their tasks.
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

    /// Has a chain done that was found on disk.
    async fn take_up(self: &Arc<Self>, chain: i64, session: Option<String>) {
        let Some(id) = session else {
            return self.have_done(TaskChain::new(self.clone(), chain, None));
        };
        let (this, line) = (self.clone(), self.line.clone());
        let mut taken_up = Box::pin(async move {
            let owner = line.own(&id).await;
            this.have_done(TaskChain::new(this.clone(), chain, Some((id, owner))));
        });
        // It is in the line from here on, before the requests that wait for this. Only what is
        // still under way for a predecessor can be before it.
        if futures_util::poll!(taken_up.as_mut()).is_pending() {
            tokio::spawn(taken_up);
        }
    }

    /// Has a chain done that its call has left behind, by whoever has the tenant's name now. If
    /// that is nobody, it stays on disk.
    fn hand_over(&self, chain: i64, session: Option<(String, Owner)>) -> Option<Afterwards> {
        let current = self.all.current(self.tenant.name(), &self.model)?;
        let (chain, afterwards) = TaskChain::new(current.clone(), chain, session).after_response();
        current.have_done(chain);
        Some(afterwards)
    }

    fn have_done(&self, chain: TaskChain) {
        // Fails only where nobody does tasks any more; they are on disk.
        let _ = self.all.chains.send(chain);
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
            let amounts = [totals::Kind::Sessions, totals::Kind::Tasks]
                .map(|kind| totals::of(connection, kind, &model));
            let [kept, waiting] = amounts;
            Ok((sessions::expired(connection, &model, now)?, kept?, waiting?))
        };
        let (mut expired, kept, waiting) = self.store.read(look).await?;
        self.all.metrics.show(self.tenant.name(), &self.model, kept, waiting);
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
        // The series are the successor's, where there is one.
        if self.all.current(self.tenant.name(), &self.model).is_none() {
            self.all.metrics.forget(self.tenant.name(), &self.model);
        }
    }
}

//! One version of one model that can answer requests.
//!
//! A request resolves a model to a [`ServableHandle`] and owns it until it has its answer: holding
//! the handle keeps the version alive, and when the last one is dropped the version has drained.
//! What is left of it then ([`Leftovers`]) goes to whoever waits on [`Drained`], so that nothing is
//! freed on a request's path.

mod batching;
mod breaker;
mod deferred;
mod direct;
mod executions;
mod in_flight;
mod interceptors;
mod maker;
mod metrics;
mod pool;
mod sequence;
mod statistics;
mod streaming;
mod tally;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use tokio::sync::{oneshot, watch};

pub use batching::{BatchLimit, Form};
pub use deferred::Tried;
pub use direct::{Answer, Timings};
pub use executions::Executions;
pub use in_flight::{Flight, InFlight};
pub use interceptors::{Chain, Passed, Wrapping};
pub use maker::Maker;
pub use metrics::ServableMetrics;
pub use sequence::{Afterwards, ModelSequences, Outcome, Sequences, TaskChain, TaskChains};
pub use statistics::{Statistics, Total};
pub use streaming::Parts;
pub use tally::Tally;

use crate::database::Proof;
use crate::engine::{Call, Snapshot, Template};
use crate::model::{InferError, Isolation, Metadata, ModelId, ModelSettings};
use crate::tenant::Reclaim;
use batching::Batcher;
use breaker::Breaker;
use metrics::VersionMetrics;
use pool::InstancePool;

/// A version that a request holds on to.
pub type ServableHandle = Arc<Servable>;

/// One version of one model that can answer requests.
pub struct Servable {
    id: ModelId,
    /// SHA-256 over everything the version is made of, in hexadecimal.
    digest: String,
    settings: Arc<ModelSettings>,
    maker: Maker,
    pool: Arc<InstancePool>,
    breaker: Breaker,
    /// What wraps its calls; given to it before it serves, and never to an interceptor.
    wrapping: OnceLock<Wrapping>,
    /// Groups its requests, if it takes several in one call.
    batcher: Option<Arc<Batcher>>,
    batch_limit: Option<BatchLimit>,
    /// Its model's sessions and tasks, which it shares with the model's other versions.
    sequences: Arc<ModelSequences>,
    families: ServableMetrics,
    /// Its share of the families, from its first request on.
    metrics: OnceLock<VersionMetrics>,
    /// Gone once the version has drained.
    drained: Option<oneshot::Sender<Leftovers>>,
}

/// Resolves when the last handle to a version is gone. Fails only if its leftovers were dropped
/// unseen.
pub type Drained = oneshot::Receiver<Leftovers>;

/// What is left of a version that has answered its last request.
pub struct Leftovers {
    _pool: Arc<InstancePool>,
}

/// What there is to say of a version that serves.
#[derive(Clone, Debug)]
pub struct Report {
    /// Whether instances start already loaded, or why not.
    pub snapshot: Result<(), String>,
    /// SHA-256 over everything the version is made of, in hexadecimal.
    pub digest: String,
    /// Bytes of memory that an instance starts with, shared between instances until written to.
    pub memory_bytes: u64,
    /// Pooled instances that wait for a request.
    pub idle_instances: usize,
    /// Instances at work.
    pub busy_instances: usize,
    /// Whether requests are refused because it keeps failing.
    pub suspended: bool,
}

impl Servable {
    /// A version of that maker's, and the means to know when it has drained.
    pub fn new(
        id: ModelId,
        digest: String,
        settings: Arc<ModelSettings>,
        maker: Maker,
        sequences: &Sequences,
        metrics: &ServableMetrics,
    ) -> (ServableHandle, Drained) {
        let (sender, drained) = oneshot::channel();
        let pool = InstancePool::new(&settings, &maker);
        if settings.isolation == Isolation::Pooled {
            let pool: Arc<dyn Reclaim> = pool.clone();
            maker.tenant().enroll(Arc::downgrade(&pool));
        }
        let breaker = Breaker::new(id.clone(), settings.breaker.clone(), maker.tenant().clone());
        let batch_limit = BatchLimit::of(maker.template(), &settings);
        let (metadata, tenant) = (maker.template().metadata(), maker.tenant());
        let batcher = batch_limit
            .map(|limit| Batcher::new(limit, &settings, metadata.clone(), tenant.clone()));
        let (families, metrics, drain) = (metrics.clone(), OnceLock::new(), Some(sender));
        let (sequences, wrapping) = (sequences.of(maker.tenant(), &id.name), OnceLock::new());
        let servable = Servable {
            id,
            digest,
            settings,
            maker,
            pool,
            breaker,
            wrapping,
            batcher,
            batch_limit,
            sequences,
            families,
            metrics,
            drained: drain,
        };
        (Arc::new(servable), drained)
    }

    /// Which version of which model it is.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// SHA-256 over everything the version is made of, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// What the model says of itself.
    pub fn metadata(&self) -> &Metadata {
        self.maker.template().metadata()
    }

    /// What is in force for it.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// How it takes several requests in one call; `None` if it does not.
    pub fn batch_limit(&self) -> Option<BatchLimit> {
        self.batch_limit
    }

    /// What makes its instances.
    pub fn maker(&self) -> &Maker {
        &self.maker
    }

    /// What its instances are made from.
    pub fn template(&self) -> &Template {
        self.maker.template()
    }

    /// Its model's sessions and tasks; `None` where it has none.
    pub fn sequences(&self) -> Option<&Arc<ModelSequences>> {
        let template = self.template();
        let has = template.uses_sessions() || template.uses_tasks() || template.has_deferred();
        has.then_some(&self.sequences)
    }

    /// A call that tries it out.
    pub fn proof_call(&self, database: Option<&Arc<Proof>>) -> Call {
        self.maker.proof_call(database)
    }

    /// Notes that handling a request for it has taken so much of the host's own CPU time.
    pub fn charge_handling(&self, time: Duration) {
        self.maker.threads.charge(self.maker.share(), time);
    }

    /// Changes whenever it is taken out of service because it keeps failing.
    pub fn trips(&self) -> watch::Receiver<u64> {
        self.breaker.trips()
    }

    /// Fails as a request would while it is taken out of service, or its tenant's interceptors let
    /// no call pass.
    pub fn check_in_service(&self) -> Result<(), InferError> {
        self.wrapping.get().map_or(Ok(()), |wrapping| wrapping.chain().check_open())?;
        self.breaker.check_version()
    }

    /// Has its calls wrapped from now on. Once wrapped, it stays so.
    pub fn wrap_in(&self, wrapping: &Wrapping) {
        self.wrapping.get_or_init(|| wrapping.clone());
    }

    /// Where it finds what wraps its calls; `None` if nothing ever does.
    pub fn wrapping(&self) -> Option<&Wrapping> {
        self.wrapping.get()
    }

    /// What wraps a call that begins now, if anything does.
    fn chain(&self) -> Option<Arc<Chain>> {
        self.wrapping.get()?.in_force()
    }

    /// Puts it back into service if it was taken out.
    pub fn put_back_into_service(&self) {
        self.breaker.reset();
    }

    /// How it is doing.
    pub fn report(&self) -> Report {
        let snapshot = match self.template().snapshot() {
            Snapshot::Taken => Ok(()),
            Snapshot::Impossible(reason) => Err(reason.clone()),
        };
        let (idle_instances, busy_instances) = self.pool.count();
        let (memory_bytes, suspended) = (self.template().initial_memory(), self.breaker.is_open());
        Report {
            snapshot,
            digest: self.digest.clone(),
            memory_bytes,
            idle_instances,
            busy_instances,
            suspended,
        }
    }

    /// What it has done since it went live.
    pub fn statistics(&self) -> Statistics {
        self.metrics().counts.read()
    }

    fn metrics(&self) -> &VersionMetrics {
        self.metrics.get_or_init(|| self.families.version(&self.id))
    }

    /// Makes the instances that are to be there before the first request. Fails as making one does.
    pub async fn fill(&self) -> Result<(), InferError> {
        for _ in 0..self.pool.kept_ready() {
            self.pool.put(self.maker.run(async |instance| Ok(instance)).await?);
        }
        Ok(())
    }

    /// Lets go of pooled instances that have been idle for too long.
    pub fn retire_idle(&self, now: Instant) {
        self.pool.retire_idle(now);
    }
}

impl Drop for Servable {
    fn drop(&mut self) {
        if let Some(sender) = self.drained.take() {
            // Nobody waits for it when the server itself is going down.
            let _ = sender.send(Leftovers { _pool: self.pool.clone() });
        }
    }
}

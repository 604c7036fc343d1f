//! One version of one model that can answer requests.
//!
//! A request resolves a model to a [`ServableHandle`] and owns it until it has its answer: holding the
//! handle keeps the version alive, and when the last one is dropped the version has drained. What is
//! left of it then ([`Leftovers`]) goes to whoever waits on [`Drained`], so that nothing is freed on a
//! request's path.

mod direct;
mod metrics;
mod pool;

use std::sync::{Arc, OnceLock};
use std::time::Instant;

use tokio::sync::oneshot;

pub use direct::{Answer, Timings};
pub use metrics::ServableMetrics;

use crate::engine::{Budget, GuestThreads, Instance, Snapshot, Template};
use crate::model::{InferError, Metadata, ModelId, ModelSettings};
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
    template: Template,
    threads: Arc<GuestThreads>,
    pool: Arc<InstancePool>,
    families: ServableMetrics,
    /// Its share of the families, from its first request on.
    metrics: OnceLock<VersionMetrics>,
    /// Gone once the version has drained.
    drained: Option<oneshot::Sender<Leftovers>>,
}

/// Resolves when the last handle to a version is gone. Fails only if its leftovers were dropped unseen.
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
}

impl Servable {
    /// A version made of that template, and the means to know when it has drained.
    pub fn new(
        id: ModelId,
        digest: String,
        settings: Arc<ModelSettings>,
        template: Template,
        threads: Arc<GuestThreads>,
        metrics: &ServableMetrics,
    ) -> (ServableHandle, Drained) {
        let (sender, drained) = oneshot::channel();
        let pool = Arc::new(InstancePool::new(&settings));
        let (families, metrics, sender) = (metrics.clone(), OnceLock::new(), Some(sender));
        let servable = Servable { id, digest, settings, template, threads, pool, families, metrics, drained: sender };
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
        self.template.metadata()
    }

    /// What is in force for it.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// What its instances are made from.
    pub fn template(&self) -> &Template {
        &self.template
    }

    /// Where its calls go on when they take long.
    pub fn threads(&self) -> &Arc<GuestThreads> {
        &self.threads
    }

    /// How it is doing.
    pub fn report(&self) -> Report {
        let snapshot = match self.template.snapshot() {
            Snapshot::Taken => Ok(()),
            Snapshot::Impossible(reason) => Err(reason.clone()),
        };
        let (idle_instances, busy_instances) = self.pool.count();
        let memory_bytes = self.template.initial_memory();
        Report { snapshot, digest: self.digest.clone(), memory_bytes, idle_instances, busy_instances }
    }

    fn metrics(&self) -> &VersionMetrics {
        self.metrics.get_or_init(|| self.families.version(&self.id))
    }

    /// Makes the instances that are to be there before the first request. Fails as making one does.
    pub async fn fill(&self) -> Result<(), InferError> {
        for _ in 0..self.pool.kept_ready() {
            let limits = &self.settings.limits;
            let budget = Budget::new(Instant::now(), limits.deadline, limits.cpu_time);
            let (template, of_instance) = (self.template.clone(), budget.clone());
            let making = async move { Instance::new(&template, of_instance).await };
            self.pool.put(self.threads.run_long(budget, making).await?);
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

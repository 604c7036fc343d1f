//! A servable: one loaded version of a model that can be called.
//!
//! A request resolves a model to a [`ServableHandle`] and owns the handle until it is answered. The
//! handle keeps the version alive; when the last one is dropped, the version has drained. Its
//! remaining resources ([`RetiredPool`]) are sent to the receiver of [`Drained`], so that nothing
//! is freed on the path of a request.

mod batch_statistics;
mod batching;
mod breaker;
mod guest_call;
mod in_flight;
mod infer;
mod inference;
mod instance_factory;
mod interceptors;
mod invocation;
mod metrics;
mod pool;
mod request_recorder;
mod response_validator;
mod session;
mod statistics;
mod streaming;
mod task;

use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant, SystemTime};

use tokio::sync::{oneshot, watch};

pub use batch_statistics::{BatchTotals, Total};
pub use batching::{BatchForm, BatchLimit};
pub use in_flight::{InFlight, InFlightGuard};
pub use inference::{Inference, Timings};
pub use instance_factory::InstanceFactory;
pub use interceptors::{InterceptedRequest, InterceptorChain, InterceptorChainHandle};
pub use metrics::ServableMetrics;
pub use request_recorder::RequestRecorder;
pub use session::{AfterResponse, ModelSessions, Sessions, TaskChain, TaskChains, TaskOutcome};
pub use statistics::Statistics;
pub use streaming::ResponseStream;

use crate::database::ValidationTransaction;
use crate::engine::{Call, Interface, Snapshot, Template};
use crate::model::{InferError, Metadata, ModelId, ModelSettings};
use crate::telemetry::RequestHistory;
use crate::tenant::Reclaim;
use batching::Batcher;
use breaker::Breaker;
use metrics::VersionMetrics;
use pool::InstancePool;

/// A shared reference to a version. The version stays loaded while one exists.
pub type ServableHandle = Arc<Servable>;

/// One loaded version of a model.
pub struct Servable {
    id: ModelId,
    created: SystemTime,
    /// SHA-256 over all files of the version, in hexadecimal.
    digest: String,
    settings: Arc<ModelSettings>,
    factory: InstanceFactory,
    pool: Arc<InstancePool>,
    breaker: Breaker,
    /// The tenant's interceptors. Set before the version serves; never set for an interceptor.
    interceptors: OnceLock<InterceptorChainHandle>,
    /// `None` if the model takes one request at a time.
    batcher: Option<Arc<Batcher>>,
    batch_limit: Option<BatchLimit>,
    /// Sessions and tasks of the model, shared by all its versions.
    sessions: Arc<ModelSessions>,
    /// The requests of the last hour, shared by all versions of the model.
    history: Arc<RequestHistory>,
    metric_families: ServableMetrics,
    /// The version's series, created with its first request.
    metrics: OnceLock<VersionMetrics>,
    /// Taken when the version has drained.
    drained: Option<oneshot::Sender<RetiredPool>>,
}

/// Resolves when the last handle to a version is dropped.
pub type Drained = oneshot::Receiver<RetiredPool>;

/// The instance pool of a drained version. Dropping it frees the instances.
pub struct RetiredPool {
    _pool: Arc<InstancePool>,
}

/// The state of a version that serves.
#[derive(Clone, Debug)]
pub struct ServableReport {
    /// `Ok` if instances start from a snapshot, or the reason that none was taken.
    pub snapshot: Result<(), String>,
    /// SHA-256 over all files of the version, in hexadecimal.
    pub digest: String,
    /// Bytes of memory of a new instance, shared between instances until written to.
    pub memory_bytes: u64,
    /// Pooled instances that wait for a request.
    pub idle_instances: usize,
    /// Bytes of memory of the idle instances.
    pub idle_memory_bytes: u64,
    /// Instances at work.
    pub busy_instances: usize,
    /// True while the circuit breaker refuses requests.
    pub suspended: bool,
}

impl Servable {
    /// Returns a new version and the receiver that resolves when it has drained.
    pub fn new(
        id: ModelId,
        digest: String,
        settings: Arc<ModelSettings>,
        factory: InstanceFactory,
        sessions: &Sessions,
        metrics: &ServableMetrics,
    ) -> (ServableHandle, Drained) {
        let tenant = factory.tenant().clone();
        let pool = InstancePool::new(&settings, &factory);
        let reclaimed: Arc<dyn Reclaim> = pool.clone();
        tenant.register_pool(Arc::downgrade(&reclaimed));

        let metadata = factory.template().metadata();
        let batch_limit = BatchLimit::for_model(factory.template(), &settings);
        let batcher = batch_limit
            .map(|limit| Batcher::new(limit, &settings, metadata.clone(), tenant.clone()));

        let (sender, drained) = oneshot::channel();
        let servable = Servable {
            breaker: Breaker::new(id.clone(), settings.breaker.clone(), tenant.clone()),
            sessions: sessions.for_model(&tenant, &id.name),
            history: metrics.histories.for_model(&id.tenant, &id.name),
            id,
            created: SystemTime::now(),
            digest,
            settings,
            factory,
            pool,
            interceptors: OnceLock::new(),
            batcher,
            batch_limit,
            metric_families: metrics.clone(),
            metrics: OnceLock::new(),
            drained: Some(sender),
        };
        (Arc::new(servable), drained)
    }

    /// The time at which the version was loaded.
    pub fn created(&self) -> SystemTime {
        self.created
    }

    /// Tenant, model and version.
    pub fn id(&self) -> &ModelId {
        &self.id
    }

    /// SHA-256 over all files of the version, in hexadecimal.
    pub fn digest(&self) -> &str {
        &self.digest
    }

    /// The metadata that the component declares.
    pub fn metadata(&self) -> &Metadata {
        self.factory.template().metadata()
    }

    /// The effective settings.
    pub fn settings(&self) -> &ModelSettings {
        &self.settings
    }

    /// The form and size of its batches; `None` if it takes one request at a time.
    pub fn batch_limit(&self) -> Option<BatchLimit> {
        self.batch_limit
    }

    /// Creates the version's instances.
    pub fn factory(&self) -> &InstanceFactory {
        &self.factory
    }

    /// The prepared component that instances are created from.
    pub fn template(&self) -> &Template {
        self.factory.template()
    }

    /// Records that the version is published: in the history, and with its runtime in the metrics.
    pub fn record_publication(&self) {
        self.metric_families.set_runtime(&self.id, self.template().runtime());
        self.history.record_publication(self.id.version.number(), Instant::now());
    }

    /// The requests of the model's versions in the last hour.
    pub fn history(&self) -> &RequestHistory {
        &self.history
    }

    /// CPU time that its calls and the host work for them have used.
    pub fn cpu_time(&self) -> Duration {
        Duration::from_nanos(self.factory.share().used())
    }

    /// The model's sessions and tasks; `None` if this version uses neither.
    pub fn sessions(&self) -> Option<&Arc<ModelSessions>> {
        let template = self.template();
        let has = template.has(Interface::Session)
            || template.has(Interface::Tasks)
            || template.has(Interface::Deferred);
        has.then_some(&self.sessions)
    }

    /// Returns a call for validation, with the full limits of a request.
    pub fn validation_call(&self, database: Option<&Arc<ValidationTransaction>>) -> Call {
        self.factory.validation_call(database)
    }

    /// Charges CPU time of host work for one of its requests to the tenant.
    pub fn charge_host_work(&self, time: Duration) {
        self.factory.threads.charge(self.factory.share(), time);
    }

    /// A counter that changes whenever the circuit breaker takes the version out of service.
    pub fn breaker_trips(&self) -> watch::Receiver<u64> {
        self.breaker.trips()
    }

    /// Fails as a request would while the circuit breaker is open or the tenant's interceptors
    /// block all calls.
    pub fn check_available(&self) -> Result<(), InferError> {
        self.interceptors.get().map_or(Ok(()), |handle| handle.chain().check_open())?;
        self.breaker.check_version()
    }

    /// Sets the interceptors that run around its calls. Later calls have no effect.
    pub fn set_interceptors(&self, interceptors: &InterceptorChainHandle) {
        self.interceptors.get_or_init(|| interceptors.clone());
    }

    /// The interceptors that run around its calls; `None` for an interceptor and before they are
    /// set.
    pub fn interceptors(&self) -> Option<&InterceptorChainHandle> {
        self.interceptors.get()
    }

    /// Returns the interceptor chain for a call that begins now; `None` if the tenant has no
    /// interceptors.
    fn active_interceptors(&self) -> Option<Arc<InterceptorChain>> {
        self.interceptors.get()?.active_chain()
    }

    /// Closes the circuit breaker and clears its counts.
    pub fn reset_breaker(&self) {
        self.breaker.reset();
    }

    /// Returns the current state.
    pub fn report(&self) -> ServableReport {
        let template = self.template();
        let snapshot = match template.snapshot() {
            Snapshot::Taken => Ok(()),
            Snapshot::Impossible(reason) => Err(reason.clone()),
        };

        let (idle_instances, busy_instances) = self.pool.count();
        ServableReport {
            snapshot,
            digest: self.digest.clone(),
            memory_bytes: template.initial_memory(),
            idle_instances,
            idle_memory_bytes: self.pool.idle_memory(),
            busy_instances,
            suspended: self.breaker.is_open(),
        }
    }

    /// Returns the totals since the version was published.
    pub fn statistics(&self) -> Statistics {
        self.metrics().counts.read()
    }

    fn metrics(&self) -> &VersionMetrics {
        self.metrics.get_or_init(|| self.metric_families.version(&self.id))
    }

    /// Creates the `instances.min` instances that must exist before the first request. Fails as
    /// instantiation does.
    pub async fn fill_pool(&self) -> Result<(), InferError> {
        for _ in 0..self.pool.min_idle() {
            self.pool
                .add_idle(self.factory.run_in_new_instance(async |instance| Ok(instance)).await?);
        }
        Ok(())
    }

    /// Drops instances that have been idle for too long.
    pub fn retire_idle(&self, now: Instant) {
        self.pool.retire_idle(now);
    }
}

impl Drop for Servable {
    fn drop(&mut self) {
        if let Some(sender) = self.drained.take() {
            // The receiver is gone when the server itself stops.
            let _ = sender.send(RetiredPool { _pool: self.pool.clone() });
        }
    }
}

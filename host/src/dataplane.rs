//! What can be asked of a running server, whatever the protocol it is asked in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use crate::engine::Budget;
use crate::model::{
    Asker, Deadline, InferError, InferRequest, ModelName, ModelSettings, TenantName, Version,
    VersionPolicy,
};
use crate::registry::Registry;
use crate::servable::InFlight;
pub use crate::servable::{Answer, Flight, Parts, ServableHandle, Tally, Timings};

/// The verbs of serving. A clone is shallow.
#[derive(Clone)]
pub struct DataPlane {
    registry: Registry,
    ready: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    requests: InFlight,
}

impl DataPlane {
    /// The verbs over that registry. `ready` is set by the manager, once every wanted model was
    /// tried or took too long.
    pub fn new(registry: Registry, ready: Arc<AtomicBool>) -> Self {
        DataPlane { registry, ready, stopping: Arc::default(), requests: InFlight::default() }
    }

    /// True if every wanted model has been tried or took too long, and the server is not stopping.
    pub fn ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_stopping()
    }

    /// True once new work is refused.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Refuses new work from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
    }

    /// Notes a request, which the server waits for when it stops. To be called before a version is
    /// looked for, and held until the request has left behind what it leaves.
    pub fn note(&self) -> Flight {
        self.requests.begin()
    }

    /// Waits until no request is under way.
    pub async fn idle(&self) {
        self.requests.ended().await;
    }

    /// Finds a version that serves: the one named, or the newest.
    pub fn find(
        &self,
        tenant: &TenantName,
        model: &str,
        version: Option<&str>,
    ) -> Result<ServableHandle, InferError> {
        if self.is_stopping() {
            return Err(InferError::Overloaded);
        }
        // A version that is no number is one that does not exist.
        let version = match version {
            Some(text) => Some(Version::parse(text).ok_or(InferError::ModelNotFound)?),
            None => None,
        };
        self.registry.find(tenant, model, version)
    }

    /// The names of a tenant's models, whether they serve or not.
    pub fn models(&self, tenant: &TenantName) -> Vec<ModelName> {
        self.registry.names(tenant)
    }

    /// The versions of a model that serve, newest first.
    pub fn versions(&self, tenant: &TenantName, model: &str) -> Vec<Version> {
        let entry = self.registry.entry(tenant, model);
        entry
            .iter()
            .flat_map(|entry| &entry.serving)
            .map(|servable| servable.id().version)
            .collect()
    }

    /// The versions of a model that serve, newest first, to be held on to.
    pub fn serving(&self, tenant: &TenantName, model: &str) -> Vec<ServableHandle> {
        self.registry.entry(tenant, model).map(|entry| entry.serving.clone()).unwrap_or_default()
    }

    /// Which versions of a model are wanted.
    pub fn version_policy(&self, tenant: &TenantName, model: &str) -> VersionPolicy {
        self.registry.entry(tenant, model).map(|entry| entry.policy.clone()).unwrap_or_default()
    }

    /// Answers one request. The deadline counts from `received` and covers queueing and computing;
    /// the model's own limit applies where it is shorter. The tenant's interceptors, if it has any,
    /// come first and last.
    pub async fn infer(
        &self,
        servable: &ServableHandle,
        request: InferRequest,
        deadline: Option<Deadline>,
        received: Instant,
        asker: Asker,
    ) -> Result<Answer, InferError> {
        let limits = &servable.settings().limits;
        let allowed = Deadline::of_settings(limits.deadline).or_shorter(deadline);
        servable.infer(request, Budget::within(received, allowed, limits.cpu_time), asker).await
    }

    /// Begins to answer one request in parts. The model's `streaming` settings take the place of
    /// its limits, if it streams; the deadline counts as in [`DataPlane::infer`].
    pub fn infer_stream(
        &self,
        servable: &ServableHandle,
        request: InferRequest,
        deadline: Option<Deadline>,
        received: Instant,
        asker: Asker,
    ) -> Parts {
        let ModelSettings { limits, streaming, .. } = servable.settings();
        let streams = servable.template().has_streaming();
        let (longest, cpu_time) = match streams {
            true => (streaming.deadline, streaming.cpu_time),
            false => (limits.deadline, limits.cpu_time),
        };
        let allowed = Deadline::of_settings(longest).or_shorter(deadline);
        servable.infer_stream(request, Budget::within(received, allowed, cpu_time), asker)
    }
}

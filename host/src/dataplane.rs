//! The serving operations of the host, independent of the wire protocol.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::Notify;

use crate::engine::{Budget, Interface};
use crate::model::{
    CallerInfo, Deadline, InferError, InferRequest, ModelName, ModelSettings, Retention,
    RouteMethod, TenantName, Version, VersionPolicy,
};
use crate::registry::Registry;
pub use crate::registry::RouteSearch;
use crate::servable::{InFlight, InFlightGuard};
pub use crate::servable::{Inference, RequestRecorder, ResponseStream, ServableHandle, Timings};
use crate::tenant::{QuotaGuard, Tenant};

/// Admits requests, finds versions and tracks readiness. A clone is shallow.
#[derive(Clone)]
pub struct DataPlane {
    registry: Registry,
    ready: Arc<AtomicBool>,
    stopping: Arc<AtomicBool>,
    stop_requested: Arc<Notify>,
    requests: InFlight,
}

/// The admission of a request: one of its tenant's concurrent requests, and one of the requests
/// that a stopping server waits for. Held until the response is sent.
pub struct Admission {
    _quota: QuotaGuard,
    _in_flight: InFlightGuard,
}

/// The version that answers an admitted request. A clone is shallow.
#[derive(Clone)]
pub struct Admitted {
    servable: ServableHandle,
}

impl DataPlane {
    /// Returns the data plane over `registry`. The manager sets `ready` once every wanted model
    /// has been tried or took too long.
    pub fn new(registry: Registry, ready: Arc<AtomicBool>) -> Self {
        DataPlane {
            registry,
            ready,
            stopping: Arc::default(),
            stop_requested: Arc::default(),
            requests: InFlight::default(),
        }
    }

    /// True if every wanted model has been tried or took too long, and the server is not stopping.
    pub fn is_ready(&self) -> bool {
        self.ready.load(Ordering::Acquire) && !self.is_stopping()
    }

    /// True while new requests are refused because the server is stopping.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::Acquire)
    }

    /// Refuses new requests from now on.
    pub fn stop(&self) {
        self.stopping.store(true, Ordering::Release);
        self.stop_requested.notify_waiters();
    }

    /// Waits until new requests are refused.
    pub async fn stopped(&self) {
        let requested = self.stop_requested.notified();
        tokio::pin!(requested);
        requested.as_mut().enable();

        // Looked at after the wait has begun, so that no stop is missed.
        if !self.is_stopping() {
            requested.await;
        }
    }

    /// Counts work besides a request that a stopping server waits for.
    pub fn begin_work(&self) -> InFlightGuard {
        self.requests.begin()
    }

    /// Admits a request of a tenant and resolves its version: the given one, or the newest. Fails
    /// with the tenant's quota of requests, and as [`DataPlane::find`] does.
    pub fn admit(
        &self,
        tenant: &Arc<Tenant>,
        model: &str,
        version: Option<&str>,
    ) -> Result<(Admission, Admitted), InferError> {
        self.admit_counted(tenant.admit()?, tenant, model, version)
    }

    /// Like [`DataPlane::admit`], for a request that the tenant's quota counts already.
    pub fn admit_counted(
        &self,
        quota: QuotaGuard,
        tenant: &Tenant,
        model: &str,
        version: Option<&str>,
    ) -> Result<(Admission, Admitted), InferError> {
        // Counted before the lookup: a stopping server waits for every request that found a
        // version.
        let admission = Admission { _quota: quota, _in_flight: self.requests.begin() };
        let servable = self.find(tenant.name(), model, version)?;

        Ok((admission, Admitted { servable }))
    }

    /// Admits a request of a tenant to a version that its route has found. Fails with the tenant's
    /// quota of requests, and with `Overloaded` while the server stops.
    pub fn admit_to(
        &self,
        tenant: &Arc<Tenant>,
        servable: ServableHandle,
    ) -> Result<(Admission, Admitted), InferError> {
        let admission = Admission { _quota: tenant.admit()?, _in_flight: self.requests.begin() };
        // Looked at after the request is counted, as in `admit`.
        if self.is_stopping() {
            return Err(InferError::Overloaded);
        }

        Ok((admission, Admitted { servable }))
    }

    /// Finds the route of a tenant's models for a path and a method.
    pub fn find_route(
        &self,
        tenant: &TenantName,
        method: Option<RouteMethod>,
        path: &str,
    ) -> RouteSearch {
        self.registry.find_route(tenant, method, path)
    }

    /// True if a model of any tenant has routes.
    pub fn has_routes(&self) -> bool {
        self.registry.has_routes()
    }

    /// True if a model of the tenant has routes.
    pub fn tenant_has_routes(&self, tenant: &TenantName) -> bool {
        self.registry.tenant_has_routes(tenant)
    }

    /// Waits until no request is in flight.
    pub async fn wait_until_idle(&self) {
        self.requests.wait_until_idle().await;
    }

    /// Finds a serving version: the given one, or the newest. Fails with `Overloaded` while the
    /// server stops, and with `ModelNotFound` or `NotReady` as [`Registry::find`] does.
    pub fn find(
        &self,
        tenant: &TenantName,
        model: &str,
        version: Option<&str>,
    ) -> Result<ServableHandle, InferError> {
        if self.is_stopping() {
            return Err(InferError::Overloaded);
        }
        // A text that is not a version number names no version.
        let version = match version {
            Some(text) => Some(Version::parse(text).ok_or(InferError::ModelNotFound)?),
            None => None,
        };
        self.registry.find(tenant, model, version)
    }

    /// The names of a tenant's models, serving or not.
    pub fn models(&self, tenant: &TenantName) -> Vec<ModelName> {
        self.registry.names(tenant)
    }

    /// The serving versions of a model, newest first.
    pub fn versions(&self, tenant: &TenantName, model: &str) -> Vec<Version> {
        let entry = self.registry.entry(tenant, model);
        entry
            .iter()
            .flat_map(|entry| &entry.serving)
            .map(|servable| servable.id().version)
            .collect()
    }

    /// Handles to the serving versions of a model, newest first.
    pub fn servables(&self, tenant: &TenantName, model: &str) -> Vec<ServableHandle> {
        self.registry.entry(tenant, model).map(|entry| entry.serving.clone()).unwrap_or_default()
    }

    /// The old versions of a model that are kept in the repository; `None` if none is deleted.
    pub fn retention(&self, tenant: &TenantName, model: &str) -> Option<Retention> {
        self.registry.entry(tenant, model)?.retention
    }

    /// The model's version policy; the default one for an unknown model.
    pub fn version_policy(&self, tenant: &TenantName, model: &str) -> VersionPolicy {
        self.registry.entry(tenant, model).map(|entry| entry.policy.clone()).unwrap_or_default()
    }
}

impl Admitted {
    /// The version.
    pub fn servable(&self) -> &ServableHandle {
        &self.servable
    }

    /// Answers the request. The deadline counts from `received` and covers queueing and computing;
    /// the shorter of it and the model's own limit applies. The tenant's interceptors run before
    /// and after the model.
    pub async fn infer(
        &self,
        request: InferRequest,
        deadline: Option<Deadline>,
        received: Instant,
        caller: CallerInfo,
    ) -> Result<Inference, InferError> {
        let limits = &self.servable.settings().limits;
        let allowed = Deadline::from_settings(limits.deadline).or_shorter(deadline);
        let budget = Budget::with_deadline(received, allowed, limits.cpu_time);

        self.servable.infer(request, budget, caller).await
    }

    /// Starts to answer the request as a stream. For a model that streams, its `streaming` settings
    /// replace its limits. The deadline counts as in [`Admitted::infer`].
    pub fn infer_stream(
        &self,
        request: InferRequest,
        deadline: Option<Deadline>,
        received: Instant,
        caller: CallerInfo,
    ) -> ResponseStream {
        let ModelSettings { limits, streaming, .. } = self.servable.settings();
        let (longest, cpu_time) = match self.servable.template().has(Interface::Streaming) {
            true => (streaming.deadline, streaming.cpu_time),
            false => (limits.deadline, limits.cpu_time),
        };

        let allowed = Deadline::from_settings(longest).or_shorter(deadline);
        let budget = Budget::with_deadline(received, allowed, cpu_time);

        self.servable.infer_stream(request, budget, caller)
    }
}

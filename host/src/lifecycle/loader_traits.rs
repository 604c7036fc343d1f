//! Traits through which the reconcile loop loads, publishes and drains versions, so that tests can
//! replace the engine.
//!
//! A [`Servable`] cannot exist without a compiled component and the engine. So the loop works with
//! these traits, which the engine's types implement (`engine_loader`, `engine_version`) and a fake
//! implements in tests (`fake_loader`). They are trait objects: a load takes milliseconds, so
//! dynamic dispatch costs nothing noticeable, and a type parameter would spread to the manager and
//! its owners.
//!
//! [`Servable`]: crate::servable::Servable

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use crate::model::{ConfigTable, LoadError, ModelId, TenantName};
use crate::repository::Candidate;
use crate::servable::{InterceptorChainHandle, ServableHandle};
use crate::tenant::Tenant;

/// Turns candidates into validated versions.
pub trait Loader: Send + Sync {
    /// Loads a candidate and validates it. Fails with the stage and reason of the first fault.
    fn load<'a>(
        &'a self,
        tenant: &'a Arc<Tenant>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Box<dyn ValidatedVersion>, LoadError>>;

    /// Drops code that is no longer in use and removes artifacts of the tenant that have been
    /// unused for too long. `wanted` holds all candidates of the tenant.
    fn collect_artifacts(
        self: Arc<Self>,
        tenant: TenantName,
        wanted: Vec<Candidate>,
    ) -> BoxFuture<'static, ()>;

    /// Removes the metrics of a version.
    fn forget_metrics(&self, id: &ModelId);

    /// Drops the state of a removed tenant. Its connections close with the last of its instances.
    fn forget_tenant(&self, tenant: &TenantName);
}

/// A version that has passed its validation. Dropping it rolls back its migrations and frees its
/// resources.
pub trait ValidatedVersion: Send {
    /// Commits the migrations of a version that is about to be published. Fails if they cannot be
    /// committed; then the version must not be published.
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn ServingVersion>, LoadError>>;
}

/// A version that is published, as the reconcile loop uses it.
pub trait ServingVersion: Send + Sync {
    /// The version for the registry and the interceptor chain; `None` if there is no
    /// engine behind it.
    fn servable(&self) -> Option<&ServableHandle>;

    /// Replaces its live configuration.
    fn set_live_config(&self, values: Arc<ConfigTable>);

    /// Sets the interceptors around its calls. Later calls have no effect.
    fn set_interceptors(&self, chain: &InterceptorChainHandle);

    /// True if an older version takes its place when it keeps failing.
    fn rolls_back(&self) -> bool;

    /// Closes its circuit breaker.
    fn reset_breaker(&self);

    /// Changes whenever its circuit breaker opens.
    fn breaker_trips(&self) -> watch::Receiver<u64>;

    /// Begins the drain, with the interceptors that are in force now. The future waits for the last
    /// request, runs the unload hooks and frees the memory.
    fn drain(self: Box<Self>) -> BoxFuture<'static, ()>;
}

//! A loader for tests of the reconcile loop. The test decides the outcome of each load and the end
//! of each drain.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::{BoxFuture, ready};
use tokio::sync::{mpsc, oneshot, watch};

use super::loader_traits::{Loader, ServingVersion, ValidatedVersion};
use crate::model::{ConfigTable, LoadError, ModelId, Stage, TenantName};
use crate::repository::Candidate;
use crate::servable::{InterceptorChainHandle, ServableHandle};
use crate::tenant::Tenant;

/// Sends every load to the test.
pub(super) struct FakeLoader {
    loads: mpsc::UnboundedSender<FakeLoad>,
}

/// A load that waits for its outcome.
pub(super) struct FakeLoad {
    pub(super) candidate: Candidate,
    outcome: oneshot::Sender<Result<FakeVersion, LoadError>>,
}

/// A version that does nothing.
struct FakeVersion {
    trips: Arc<watch::Sender<u64>>,
    drained: oneshot::Receiver<()>,
}

/// The test's control over a version that has loaded. Dropping it ends the version's drain.
pub(super) struct FakeVersionControl {
    trips: Arc<watch::Sender<u64>>,
    _drained: oneshot::Sender<()>,
}

impl FakeLoader {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<FakeLoad>) {
        let (loads, started) = mpsc::unbounded_channel();
        (Arc::new(FakeLoader { loads }), started)
    }
}

impl FakeLoad {
    pub(super) fn succeed(self) -> FakeVersionControl {
        let trips = Arc::new(watch::Sender::new(0));
        let (_drained, drained) = oneshot::channel();
        let _ = self.outcome.send(Ok(FakeVersion { trips: trips.clone(), drained }));
        FakeVersionControl { trips, _drained }
    }

    pub(super) fn fail(self, stage: Stage) {
        let _ = self.outcome.send(Err(LoadError::new(stage, "as the test wants")));
    }
}

impl FakeVersionControl {
    /// Opens the circuit breaker of the version.
    pub(super) fn trip(&self) {
        self.trips.send_modify(|trips| *trips += 1);
    }
}

impl Loader for FakeLoader {
    fn load<'a>(
        &'a self,
        _tenant: &'a Arc<Tenant>,
        candidate: &'a Candidate,
    ) -> BoxFuture<'a, Result<Box<dyn ValidatedVersion>, LoadError>> {
        let (outcome, decided) = oneshot::channel();
        let _ = self.loads.send(FakeLoad { candidate: candidate.clone(), outcome });

        Box::pin(async {
            let dropped = || LoadError::new(Stage::Host, "the test has ended");
            let version = decided.await.map_err(|_| dropped())??;
            Ok(Box::new(version) as Box<dyn ValidatedVersion>)
        })
    }

    fn collect_artifacts(
        self: Arc<Self>,
        _tenant: TenantName,
        _wanted: Vec<Candidate>,
    ) -> BoxFuture<'static, ()> {
        ready(()).boxed()
    }

    fn forget_metrics(&self, _id: &ModelId) {}

    fn forget_tenant(&self, _tenant: &TenantName) {}
}

impl ValidatedVersion for FakeVersion {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn ServingVersion>, LoadError>> {
        ready(Ok(self as Box<dyn ServingVersion>)).boxed()
    }
}

impl ServingVersion for FakeVersion {
    fn servable(&self) -> Option<&ServableHandle> {
        None
    }

    fn set_live_config(&self, _values: Arc<ConfigTable>) {}

    fn set_interceptors(&self, _chain: &InterceptorChainHandle) {}

    fn rolls_back(&self) -> bool {
        true
    }

    fn reset_breaker(&self) {}

    fn breaker_trips(&self) -> watch::Receiver<u64> {
        self.trips.subscribe()
    }

    fn drain(self: Box<Self>) -> BoxFuture<'static, ()> {
        self.drained.map(drop).boxed()
    }
}

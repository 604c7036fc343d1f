//! Versions of the engine, for the reconcile loop.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use tokio::sync::watch;

use super::drain::Drain;
use super::loader_traits::{ServingVersion, ValidatedVersion};
use super::migrate::Validated;
use crate::model::{ConfigTable, LoadError};
use crate::servable::{Drained, InterceptorChainHandle, ServableHandle};

/// A published servable, with the future that resolves when its last handle is dropped.
struct EngineVersion {
    servable: ServableHandle,
    drained: Drained,
}

impl ValidatedVersion for Validated {
    fn commit(self: Box<Self>) -> BoxFuture<'static, Result<Box<dyn ServingVersion>, LoadError>> {
        Box::pin(async move {
            let (servable, drained) = Validated::commit(*self).await?;
            let version: Box<dyn ServingVersion> = Box::new(EngineVersion { servable, drained });
            Ok(version)
        })
    }
}

impl ServingVersion for EngineVersion {
    fn servable(&self) -> Option<&ServableHandle> {
        Some(&self.servable)
    }

    fn set_live_config(&self, values: Arc<ConfigTable>) {
        self.servable.template().config().set_live(values);
    }

    fn set_interceptors(&self, chain: &InterceptorChainHandle) {
        self.servable.set_interceptors(chain);
    }

    fn rolls_back(&self) -> bool {
        self.servable.settings().breaker.rollback
    }

    fn reset_breaker(&self) {
        self.servable.reset_breaker();
    }

    fn breaker_trips(&self) -> watch::Receiver<u64> {
        self.servable.breaker_trips()
    }

    fn drain(self: Box<Self>) -> BoxFuture<'static, ()> {
        let EngineVersion { servable, drained } = *self;
        let drain = Drain::begin(&servable, drained);
        drop(servable);

        Box::pin(drain.run())
    }
}

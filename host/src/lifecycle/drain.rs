//! The end of a version: its last requests, its unload hook, its memory.

use std::sync::Arc;
use std::time::Duration;

use crate::blocking;
use crate::model::{InferError, ModelId};
use crate::servable::{
    Drained, InstanceFactory, InterceptorChain, InterceptorChainHandle, Servable,
};

/// The state needed to end a version after its last handle is dropped.
pub(super) struct Drain {
    id: ModelId,
    factory: InstanceFactory,
    deadline: Duration,
    drained: Drained,
    /// The interceptors that served when the drain began.
    interceptors: Arc<InterceptorChain>,
}

/// A version that is still in use after this time, or after twice its longest request deadline, is
/// logged as a leak: every request has a deadline.
const MIN_LEAK_WARNING_DELAY: Duration = Duration::from_secs(60);

impl Drain {
    /// Begins the drain. It keeps the interceptors that serve now until their unload hooks have
    /// run.
    pub(super) fn begin(servable: &Servable, drained: Drained) -> Self {
        let settings = servable.settings();
        let streaming = servable.template().has_streaming().then_some(settings.streaming.deadline);
        let chain = servable.interceptors().map(InterceptorChainHandle::chain);

        Drain {
            id: servable.id().clone(),
            factory: servable.factory().clone(),
            deadline: settings.limits.deadline.max(streaming.unwrap_or_default()),
            drained,
            interceptors: chain.unwrap_or_default(),
        }
    }

    /// Waits for the last request, runs the unload hook, and frees the memory.
    pub(super) async fn run(self) {
        let Drain { id, factory, deadline, mut drained, interceptors } = self;
        let warning_delay = MIN_LEAK_WARNING_DELAY.max(deadline * 2);
        let retired_pool = match tokio::time::timeout(warning_delay, &mut drained).await {
            Ok(retired_pool) => retired_pool,
            Err(_) => {
                tracing::warn!(model = %id, "still in use long after it was replaced");
                drained.await
            }
        };

        interceptors.before_unload(&id).await;
        if let Err(error) = run_unload_hook(&factory).await {
            tracing::warn!(model = %id, error = %error, detail = error.private_detail(), "its unload failed");
        }

        // Unmapping weights is slow and must not run on an HTTP thread.
        blocking::drop_value((retired_pool, factory)).await;
        interceptors.after_unload(&id).await;
        tracing::info!(model = %id, "unloaded");
    }
}

async fn run_unload_hook(factory: &InstanceFactory) -> Result<(), InferError> {
    if !factory.template().has_lifecycle() {
        return Ok(());
    }
    factory.run_in_new_instance(async |mut instance| instance.unload().await).await
}

//! The end of a version: its last requests, its unload hook, its memory.

use std::sync::Arc;
use std::time::Duration;

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
    /// The interceptors to notify, and the chain that is in force when the drain begins.
    interceptors: Option<InterceptorChainHandle>,
    chain: Arc<InterceptorChain>,
}

/// A version that is still in use after this time, or after twice its longest request deadline, is
/// logged as a leak: every request has a deadline.
const MIN_LEAK_WARNING_DELAY: Duration = Duration::from_secs(60);

impl Drain {
    pub(super) fn new(servable: &Servable, drained: Drained) -> Self {
        let settings = servable.settings();
        let in_parts = servable.template().has_streaming().then_some(settings.streaming.deadline);
        let deadline = settings.limits.deadline.max(in_parts.unwrap_or_default());
        let id = servable.id().clone();
        let maker = servable.factory().clone();
        let wrapping = servable.interceptors().cloned();
        let wrapped = Arc::default();
        Drain { id, factory: maker, deadline, drained, interceptors: wrapping, chain: wrapped }
    }

    /// Begins the drain. It keeps the interceptors that serve now until their unload hooks have
    /// run.
    pub(super) fn begin(self) -> Self {
        let wrapped =
            self.interceptors.as_ref().map(InterceptorChainHandle::chain).unwrap_or_default();
        Drain { chain: wrapped, ..self }
    }

    /// Waits for the last request, runs the unload hook, and frees the memory.
    pub(super) async fn run(self) {
        let Drain { id, factory: maker, deadline, mut drained, chain: wrapped, .. } = self;
        let patience = MIN_LEAK_WARNING_DELAY.max(deadline * 2);
        let leftovers = match tokio::time::timeout(patience, &mut drained).await {
            Ok(leftovers) => leftovers,
            Err(_) => {
                tracing::warn!(model = %id, "still in use long after it was replaced");
                drained.await
            }
        };

        wrapped.before_unload(&id).await;
        if let Err(error) = run_unload_hook(&maker).await {
            tracing::warn!(model = %id, error = %error, detail = error.private_detail(), "its unload failed");
        }

        // Unmapping weights is slow and must not run on an HTTP thread.
        let _ = tokio::task::spawn_blocking(move || drop((leftovers, maker))).await;
        wrapped.after_unload(&id).await;
        tracing::info!(model = %id, "unloaded");
    }
}

async fn run_unload_hook(maker: &InstanceFactory) -> Result<(), InferError> {
    if !maker.template().has_lifecycle() {
        return Ok(());
    }
    maker.run_in_new_instance(async |mut instance| instance.unload().await).await
}

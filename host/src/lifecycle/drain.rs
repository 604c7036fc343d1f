//! The end of a version: its last requests, its unload hook, its memory.

use std::sync::Arc;
use std::time::Duration;

use crate::model::{InferError, ModelId};
use crate::servable::{Chain, Drained, Maker, Servable, Wrapping};

/// What is needed to end a version after its last handle is gone.
pub(super) struct Ending {
    id: ModelId,
    maker: Maker,
    deadline: Duration,
    drained: Drained,
    /// Where to find who is told of it, and who that is once it has begun.
    wrapping: Option<Wrapping>,
    wrapped: Arc<Chain>,
}

/// Requests have deadlines, so a version that is in use for longer than the longest has a leak.
const PATIENCE: Duration = Duration::from_secs(60);

impl Ending {
    pub(super) fn new(servable: &Servable, drained: Drained) -> Self {
        let settings = servable.settings();
        let in_parts = servable.template().has_streaming().then_some(settings.streaming.deadline);
        let deadline = settings.limits.deadline.max(in_parts.unwrap_or_default());
        let (id, maker) = (servable.id().clone(), servable.maker().clone());
        let (wrapping, wrapped) = (servable.wrapping().cloned(), Arc::default());
        Ending { id, maker, deadline, drained, wrapping, wrapped }
    }

    /// Begins: the interceptors that serve now will be told of it, and serve at least until they
    /// have been.
    pub(super) fn begin(self) -> Self {
        let wrapped = self.wrapping.as_ref().map(Wrapping::chain).unwrap_or_default();
        Ending { wrapped, ..self }
    }

    /// Waits for the last request, lets the model say goodbye, and gives its memory back.
    pub(super) async fn run(self) {
        let Ending { id, maker, deadline, mut drained, wrapped, .. } = self;
        let patience = PATIENCE.max(deadline * 2);
        let leftovers = match tokio::time::timeout(patience, &mut drained).await {
            Ok(leftovers) => leftovers,
            Err(_) => {
                tracing::warn!(model = %id, "still in use long after it was replaced");
                drained.await
            }
        };
        wrapped.before_unload(&id).await;
        if let Err(error) = say_goodbye(&maker).await {
            tracing::warn!(model = %id, error = %error, detail = error.private(), "its unload failed");
        }
        // Unmapping weights takes a while; no thread that serves HTTP should do it.
        let _ = tokio::task::spawn_blocking(move || drop((leftovers, maker))).await;
        wrapped.after_unload(&id).await;
        tracing::info!(model = %id, "unloaded");
    }
}

async fn say_goodbye(maker: &Maker) -> Result<(), InferError> {
    if !maker.template().has_lifecycle() {
        return Ok(());
    }
    maker.run(async |mut instance| instance.unload().await).await
}

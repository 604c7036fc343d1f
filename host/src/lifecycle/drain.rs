//! The end of a version: its last requests, its unload hook, its memory.

use std::time::Duration;

use crate::model::{InferError, ModelId};
use crate::servable::{Drained, Maker, Servable};

/// What is needed to end a version after its last handle is gone.
pub(super) struct Ending {
    id: ModelId,
    maker: Maker,
    deadline: Duration,
    drained: Drained,
}

/// Requests have deadlines, so a version that is in use for longer than the longest has a leak.
const PATIENCE: Duration = Duration::from_secs(60);

impl Ending {
    pub(super) fn new(servable: &Servable, drained: Drained) -> Self {
        let settings = servable.settings();
        let in_parts = servable.template().has_streaming().then_some(settings.streaming.deadline);
        let deadline = settings.limits.deadline.max(in_parts.unwrap_or_default());
        Ending { id: servable.id().clone(), maker: servable.maker().clone(), deadline, drained }
    }

    /// Waits for the last request, lets the model say goodbye, and gives its memory back.
    pub(super) async fn run(self) {
        let Ending { id, maker, deadline, mut drained } = self;
        let patience = PATIENCE.max(deadline * 2);
        let leftovers = match tokio::time::timeout(patience, &mut drained).await {
            Ok(leftovers) => leftovers,
            Err(_) => {
                tracing::warn!(model = %id, "still in use long after it was replaced");
                drained.await
            }
        };
        if let Err(error) = say_goodbye(&maker).await {
            tracing::warn!(model = %id, error = %error, detail = error.private(), "its unload failed");
        }
        // Unmapping weights takes a while; no thread that serves HTTP should do it.
        let _ = tokio::task::spawn_blocking(move || drop((leftovers, maker))).await;
        tracing::info!(model = %id, "unloaded");
    }
}

async fn say_goodbye(maker: &Maker) -> Result<(), InferError> {
    if !maker.template().has_lifecycle() {
        return Ok(());
    }
    maker.run(async |mut instance| instance.unload().await).await
}

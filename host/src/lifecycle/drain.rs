//! The end of a version: its last requests, its unload hook, its memory.

use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::engine::{Budget, GuestThreads, Instance, Template};
use crate::model::{InferError, ModelId, ModelSettings};
use crate::servable::{Drained, Servable};

/// What is needed to end a version after its last handle is gone.
pub(super) struct Ending {
    id: ModelId,
    template: Template,
    settings: ModelSettings,
    threads: Arc<GuestThreads>,
    drained: Drained,
}

/// Requests have deadlines, so a version that is in use for longer than the longest has a leak.
const PATIENCE: Duration = Duration::from_secs(60);

impl Ending {
    pub(super) fn new(servable: &Servable, drained: Drained) -> Self {
        Ending {
            id: servable.id().clone(),
            template: servable.template().clone(),
            settings: servable.settings().clone(),
            threads: servable.threads().clone(),
            drained,
        }
    }

    /// Waits for the last request, lets the model say goodbye, and gives its memory back.
    pub(super) async fn run(self) {
        let Ending { id, template, settings, threads, mut drained } = self;
        let patience = PATIENCE.max(settings.limits.deadline * 2);
        let leftovers = match tokio::time::timeout(patience, &mut drained).await {
            Ok(leftovers) => leftovers,
            Err(_) => {
                tracing::warn!(model = %id, "still in use long after it was replaced");
                drained.await
            }
        };
        if let Err(error) = say_goodbye(&template, &settings, &threads).await {
            tracing::warn!(model = %id, error = %error, detail = error.private(), "its unload failed");
        }
        // Unmapping weights takes a while; no thread that serves HTTP should do it.
        let _ = tokio::task::spawn_blocking(move || drop((leftovers, template))).await;
        tracing::info!(model = %id, "unloaded");
    }
}

async fn say_goodbye(template: &Template, settings: &ModelSettings, threads: &GuestThreads) -> Result<(), InferError> {
    if !template.has_lifecycle() {
        return Ok(());
    }
    let budget = Budget::new(Instant::now(), settings.limits.deadline, settings.limits.cpu_time);
    let (template, instance_budget) = (template.clone(), budget.clone());
    let call = async move { Instance::new(&template, instance_budget).await?.unload().await };
    threads.run_long(budget, call).await
}

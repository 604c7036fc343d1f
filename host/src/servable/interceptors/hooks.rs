//! Lifecycle hooks: calls interceptors when versions are loaded and unloaded.

use std::future::Future;

use super::Chain;
use super::visit::explain;
use crate::engine::Instance;
use crate::model::{InferError, LoadError, ModelId, Stage};
use crate::servable::ServableHandle;

impl Chain {
    /// Calls `before-load` of every interceptor, in order. Fails with the first objection or
    /// failure, and nothing is loaded.
    pub async fn before_load(&self, id: &ModelId) -> Result<(), LoadError> {
        if let Some(reason) = &self.shut {
            return Err(LoadError::new(Stage::Intercept, reason.clone()));
        }
        for link in &self.links {
            let told = tell(link, id, async |mut instance, id| instance.before_load(&id).await);
            told.await.map_err(|error| refusal(link, "before-load", error))?;
        }
        Ok(())
    }

    /// Calls `after-load` of every interceptor, in reverse order, once a version has been
    /// validated. Fails as [`Chain::before_load`] does.
    pub async fn after_load(&self, id: &ModelId) -> Result<(), LoadError> {
        for link in self.links.iter().rev() {
            let told = tell(link, id, async |mut instance, id| instance.after_load(&id).await);
            told.await.map_err(|error| refusal(link, "after-load", error))?;
        }
        Ok(())
    }

    /// Calls `before-unload` of every interceptor, in order, once a version serves no more.
    /// Failures are logged.
    pub async fn before_unload(&self, id: &ModelId) {
        for link in &self.links {
            let told =
                tell(link, id, async |mut instance, id| instance.before_unload(&id).await).await;
            note(link, id, "before-unload", told);
        }
    }

    /// Calls `after-unload` of every interceptor, in reverse order. Failures are logged.
    pub async fn after_unload(&self, id: &ModelId) {
        for link in self.links.iter().rev() {
            let told =
                tell(link, id, async |mut instance, id| instance.after_unload(&id).await).await;
            note(link, id, "after-unload", told);
        }
    }
}

/// Runs `what` on a new instance of an interceptor, with the full limits of a request.
async fn tell<F>(
    link: &ServableHandle,
    id: &ModelId,
    what: impl FnOnce(Instance, ModelId) -> F + Send + 'static,
) -> Result<(), InferError>
where
    F: Future<Output = Result<(), InferError>> + Send + 'static,
{
    let id = id.clone();
    link.maker.run(move |instance| what(instance, id)).await
}

fn refusal(link: &ServableHandle, hook: &str, error: InferError) -> LoadError {
    let name = link.id().name.own();
    let stage = match error {
        InferError::Overloaded => Stage::Host,
        InferError::QuotaExceeded(_) => Stage::Quota,
        _ => Stage::Intercept,
    };

    let reason = match &error {
        InferError::Rejected(objection) => format!("the interceptor '{name}' objects: {objection}"),
        error => format!("the interceptor '{name}' failed in {hook}: {}", explain(error)),
    };
    LoadError::new(stage, reason)
}

fn note(link: &ServableHandle, id: &ModelId, hook: &str, told: Result<(), InferError>) {
    if let Err(error) = told {
        let (interceptor, detail) = (link.id().name.own(), explain(&error));
        tracing::warn!(model = %id, interceptor, hook, detail, "an interceptor failed");
    }
}

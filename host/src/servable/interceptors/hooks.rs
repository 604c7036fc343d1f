//! What interceptors are told of versions that come and go.

use std::future::Future;

use super::Chain;
use super::visit::explain;
use crate::engine::Instance;
use crate::model::{InferError, LoadError, ModelId, Stage};
use crate::servable::ServableHandle;

impl Chain {
    /// Tells every interceptor that a version is about to be loaded. Fails with what the first of
    /// them has against it, or if one fails: nothing is loaded past it.
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

    /// Tells every interceptor, the last first, that a version has shown that it can serve. Fails
    /// as before-load does.
    pub async fn after_load(&self, id: &ModelId) -> Result<(), LoadError> {
        for link in self.links.iter().rev() {
            let told = tell(link, id, async |mut instance, id| instance.after_load(&id).await);
            told.await.map_err(|error| refusal(link, "after-load", error))?;
        }
        Ok(())
    }

    /// Tells every interceptor that a version, which serves no more, is about to be unloaded. None
    /// can keep it.
    pub async fn before_unload(&self, id: &ModelId) {
        for link in &self.links {
            let told =
                tell(link, id, async |mut instance, id| instance.before_unload(&id).await).await;
            note(link, id, "before-unload", told);
        }
    }

    /// Tells every interceptor, the last first, that a version has been unloaded.
    pub async fn after_unload(&self, id: &ModelId) {
        for link in self.links.iter().rev() {
            let told =
                tell(link, id, async |mut instance, id| instance.after_unload(&id).await).await;
            note(link, id, "after-unload", told);
        }
    }
}

/// Has an interceptor's instance do something, within all that a request to it might have.
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

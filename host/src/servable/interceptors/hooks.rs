//! Lifecycle hooks: calls interceptors when versions are loaded and unloaded.

use std::future::Future;

use super::InterceptorChain;
use super::interceptor_call::fault_detail;
use crate::engine::Instance;
use crate::model::{InferError, LoadError, ModelId, Stage};
use crate::servable::ServableHandle;

impl InterceptorChain {
    /// Calls `before-load` of every interceptor, in order. Fails with the first objection or
    /// failure, and nothing is loaded.
    pub async fn before_load(&self, id: &ModelId) -> Result<(), LoadError> {
        if let Some(reason) = &self.blocked_reason {
            return Err(LoadError::new(Stage::Intercept, reason.clone()));
        }
        for link in &self.interceptors {
            let told = run_hook(link, id, async |mut instance, id| instance.before_load(&id).await);
            told.await.map_err(|error| load_error(link, "before-load", error))?;
        }
        Ok(())
    }

    /// Calls `after-load` of every interceptor, in reverse order, once a version has been
    /// validated. Fails as [`InterceptorChain::before_load`] does.
    pub async fn after_load(&self, id: &ModelId) -> Result<(), LoadError> {
        for link in self.interceptors.iter().rev() {
            let told = run_hook(link, id, async |mut instance, id| instance.after_load(&id).await);
            told.await.map_err(|error| load_error(link, "after-load", error))?;
        }
        Ok(())
    }

    /// Calls `before-unload` of every interceptor, in order, once a version serves no more.
    /// Failures are logged.
    pub async fn before_unload(&self, id: &ModelId) {
        for link in &self.interceptors {
            let told =
                run_hook(link, id, async |mut instance, id| instance.before_unload(&id).await)
                    .await;
            log_failure(link, id, "before-unload", told);
        }
    }

    /// Calls `after-unload` of every interceptor, in reverse order. Failures are logged.
    pub async fn after_unload(&self, id: &ModelId) {
        for link in self.interceptors.iter().rev() {
            let told =
                run_hook(link, id, async |mut instance, id| instance.after_unload(&id).await).await;
            log_failure(link, id, "after-unload", told);
        }
    }
}

/// Runs `what` on a new instance of an interceptor, with the full limits of a request.
async fn run_hook<F>(
    link: &ServableHandle,
    id: &ModelId,
    what: impl FnOnce(Instance, ModelId) -> F + Send + 'static,
) -> Result<(), InferError>
where
    F: Future<Output = Result<(), InferError>> + Send + 'static,
{
    let id = id.clone();
    link.factory.run_in_new_instance(move |instance| what(instance, id)).await
}

fn load_error(link: &ServableHandle, hook: &str, error: InferError) -> LoadError {
    let name = link.id().name.base_name();
    let stage = match error {
        InferError::Overloaded => Stage::Host,
        InferError::QuotaExceeded(_) => Stage::Quota,
        _ => Stage::Intercept,
    };

    let reason = match &error {
        InferError::Rejected(objection) => format!("the interceptor '{name}' objects: {objection}"),
        error => format!("the interceptor '{name}' failed in {hook}: {}", fault_detail(error)),
    };
    LoadError::new(stage, reason)
}

fn log_failure(link: &ServableHandle, id: &ModelId, hook: &str, told: Result<(), InferError>) {
    if let Err(error) = told {
        let interceptor = link.id().name.base_name();
        let detail = fault_detail(&error);
        tracing::warn!(model = %id, interceptor, hook, detail, "an interceptor failed");
    }
}

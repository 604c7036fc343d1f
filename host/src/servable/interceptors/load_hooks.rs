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

        for interceptor in &self.interceptors {
            let hook = async |mut instance: Instance, id: ModelId| instance.before_load(&id).await;
            let outcome = run_hook(interceptor, id, hook).await;
            outcome.map_err(|error| load_error(interceptor, "before-load", error))?;
        }
        Ok(())
    }

    /// Calls `after-load` of every interceptor, in reverse order, once a version has been
    /// validated. Fails as [`InterceptorChain::before_load`] does.
    pub async fn after_load(&self, id: &ModelId) -> Result<(), LoadError> {
        for interceptor in self.interceptors.iter().rev() {
            let hook = async |mut instance: Instance, id: ModelId| instance.after_load(&id).await;
            let outcome = run_hook(interceptor, id, hook).await;
            outcome.map_err(|error| load_error(interceptor, "after-load", error))?;
        }
        Ok(())
    }

    /// Calls `before-unload` of every interceptor, in order, once a version serves no more.
    /// Failures are logged.
    pub async fn before_unload(&self, id: &ModelId) {
        for interceptor in &self.interceptors {
            let hook =
                async |mut instance: Instance, id: ModelId| instance.before_unload(&id).await;
            log_failure(interceptor, id, "before-unload", run_hook(interceptor, id, hook).await);
        }
    }

    /// Calls `after-unload` of every interceptor, in reverse order. Failures are logged.
    pub async fn after_unload(&self, id: &ModelId) {
        for interceptor in self.interceptors.iter().rev() {
            let hook = async |mut instance: Instance, id: ModelId| instance.after_unload(&id).await;
            log_failure(interceptor, id, "after-unload", run_hook(interceptor, id, hook).await);
        }
    }
}

/// Runs `hook` on a new instance of an interceptor, with the full limits of a request.
async fn run_hook<F>(
    interceptor: &ServableHandle,
    id: &ModelId,
    hook: impl FnOnce(Instance, ModelId) -> F + Send + 'static,
) -> Result<(), InferError>
where
    F: Future<Output = Result<(), InferError>> + Send + 'static,
{
    let id = id.clone();
    interceptor.factory.run_in_new_instance(move |instance| hook(instance, id)).await
}

fn load_error(interceptor: &ServableHandle, hook: &str, error: InferError) -> LoadError {
    let name = interceptor.id().name.base_name();
    let reason = match &error {
        InferError::Rejected(objection) => format!("the interceptor '{name}' objects: {objection}"),
        error => format!("the interceptor '{name}' failed in {hook}: {}", fault_detail(error)),
    };
    LoadError::of_call(Stage::Intercept, &error, reason)
}

fn log_failure(
    interceptor: &ServableHandle,
    id: &ModelId,
    hook: &str,
    outcome: Result<(), InferError>,
) {
    if let Err(error) = outcome {
        let interceptor = interceptor.id().name.base_name();
        let detail = fault_detail(&error);
        tracing::warn!(model = %id, interceptor, hook, detail, "an interceptor failed");
    }
}

//! Loads, each in a task of its own that reports to its tenant's reconcile loop by events.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};
use tracing::Instrument;

use super::event::Event;
use super::loader_traits::{Loader, ServingVersion};
use crate::model::{LoadError, ModelId, Stage};
use crate::repository::Candidate;
use crate::servable::InterceptorChain;
use crate::tenant::Tenant;

/// The parts that a load works with.
pub(super) struct LoadTask {
    pub(super) loader: Arc<dyn Loader>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) tenant: Arc<Tenant>,
    /// The interceptors whose load hooks run.
    pub(super) interceptors: Arc<InterceptorChain>,
}

impl LoadTask {
    /// Returns `None` if the version is no longer wanted once it has been validated; then nothing
    /// of it remains.
    async fn run(
        &self,
        id: &ModelId,
        candidate: &Candidate,
    ) -> Result<Option<Box<dyn ServingVersion>>, LoadError> {
        self.interceptors.before_load(id).await?;
        let validated = self.loader.load(&self.tenant, candidate).await?;
        self.interceptors.after_load(id).await?;
        if self.may_publish(id, candidate).await? {
            validated.commit().await.map(Some)
        } else {
            Ok(None)
        }
    }

    async fn may_publish(&self, id: &ModelId, candidate: &Candidate) -> Result<bool, LoadError> {
        let (reply, answer) = oneshot::channel();
        let validated = Event::Validated {
            name: id.name.clone(),
            version: id.version,
            digest: candidate.digest,
            routes: candidate.settings.routes.clone(),
            reply,
        };
        let sent = self.events.send(validated).await;
        if sent.is_ok() { answer.await.unwrap_or(Ok(false)) } else { Ok(false) }
    }
}

/// Loads a version and sends the outcome as an event. Log lines of the load carry its tenant, model
/// and version in the span `load`.
pub(super) async fn run_load(task: LoadTask, candidate: Candidate) {
    let name = candidate.name.clone();
    let version = candidate.version;
    let digest = candidate.digest;
    let id = ModelId { tenant: task.tenant.name().clone(), name: name.clone(), version };
    let events = task.events.clone();
    // At the level of errors, so that no filter takes it from the lines of a load.
    let span = tracing::error_span!("load", tenant = %id.tenant, model = %name, %version);

    // Spawned, so that a panic becomes a failed load and not a load that never ends.
    let load = tokio::spawn(async move { task.run(&id, &candidate).await }.instrument(span));
    let outcome = load.await.unwrap_or_else(|error| {
        Err(LoadError::new(Stage::Link, format!("loading ended unexpectedly: {error}")))
    });

    let _ = events.send(Event::Loaded { name, version, digest, outcome }).await;
}

/// Delay before the next try after a transient failure.
const RETRY_DELAY: Duration = Duration::from_secs(5);

/// Longest delay between two tries.
const MAX_RETRY_DELAY: Duration = Duration::from_secs(300);

/// Delay before a version is loaded again after `failures` consecutive failures, the last of them
/// `error`; `None` if it is not loaded again.
pub(super) fn retry_delay(error: &LoadError, failures: u32) -> Option<Duration> {
    if !error.is_transient() {
        return None;
    }

    match error.stage {
        Stage::Read | Stage::Quota | Stage::Disk => Some(RETRY_DELAY),
        // Retrying at a constant rate does not help a host that is short of memory, threads or
        // CPU time.
        _ => Some(host_retry_delay(failures)),
    }
}

/// Delay before the next try after `failures` consecutive failures of the host.
pub(super) fn host_retry_delay(failures: u32) -> Duration {
    let doubled = 2_u32.saturating_pow(failures.saturating_sub(1).min(16));
    (RETRY_DELAY * doubled).min(MAX_RETRY_DELAY)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Deadline, InferError};

    #[test]
    fn host_failures_are_retried_with_backoff() {
        let failed = |stage| LoadError::new(stage, "a test");
        let after =
            |failures| retry_delay(&failed(Stage::Host), failures).map(|after| after.as_secs());
        assert_eq!([1, 2, 3, 6, 7, 100].map(after), [5, 10, 20, 160, 300, 300].map(Some));
        assert_eq!(retry_delay(&failed(Stage::Quota), 9), Some(RETRY_DELAY));
        assert_eq!(retry_delay(&failed(Stage::Load), 1), None);
    }

    #[test]
    fn a_passed_deadline_is_retried_with_backoff() {
        let deadline = Deadline::from_settings(Duration::from_secs(30));
        let passed = InferError::DeadlineExceeded(deadline);
        let error = LoadError::of_call(Stage::WarmUp, &passed, "a request of zeros failed");
        assert_eq!(error.to_string(), "warm-up: a request of zeros failed");
        assert_eq!(retry_delay(&error, 2), Some(RETRY_DELAY * 2));

        let trapped = InferError::Trapped { detail: String::new() };
        let error = LoadError::of_call(Stage::WarmUp, &trapped, "a request of zeros failed");
        assert_eq!(retry_delay(&error, 2), None);
    }
}

//! Loads, each in a task of its own that reports to its tenant's task by events.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::loader::Loader;
use super::manager::Event;
use super::record::Loaded;
use crate::model::{LoadError, ModelId, Stage};
use crate::repository::Candidate;
use crate::servable::Chain;
use crate::tenant::Tenant;

/// The parts that a load works with.
pub(super) struct Loading {
    pub(super) loader: Arc<Loader>,
    pub(super) events: mpsc::Sender<Event>,
    pub(super) tenant: Arc<Tenant>,
    /// The interceptors whose load hooks run.
    pub(super) wrapped: Arc<Chain>,
}

impl Loading {
    /// Returns `None` if the version is no longer wanted once it has been validated; then nothing
    /// of it remains.
    async fn run(&self, id: &ModelId, candidate: &Candidate) -> Result<Option<Loaded>, LoadError> {
        self.wrapped.before_load(id).await?;
        let proved = self.loader.load(&self.tenant, candidate, &|_| {}).await?;
        self.wrapped.after_load(id).await?;
        if self.may_go_live(id).await { proved.go_live().await.map(Some) } else { Ok(None) }
    }

    async fn may_go_live(&self, id: &ModelId) -> bool {
        let (reply, answer) = oneshot::channel();
        let asked = self
            .events
            .send(Event::Proved { name: id.name.clone(), version: id.version, reply })
            .await;
        asked.is_ok() && answer.await.unwrap_or(false)
    }
}

/// Loads a version and sends the outcome as an event.
pub(super) async fn load(loading: Loading, candidate: Candidate) {
    let (name, version, digest) = (candidate.name.clone(), candidate.version, candidate.digest);
    let id = ModelId { tenant: loading.tenant.name().clone(), name: name.clone(), version };
    let events = loading.events.clone();
    // A task of its own, so that a panic becomes a failed load and not a load that never ends.
    let load = tokio::spawn(async move { loading.run(&id, &candidate).await });
    let outcome = load.await.unwrap_or_else(|error| {
        Err(LoadError::new(Stage::Link, format!("loading ended unexpectedly: {error}")))
    });

    let _ = events.send(Event::Loaded { name, version, digest, outcome }).await;
}

/// Delay before the next try after a temporary failure.
const RETRY_AFTER: Duration = Duration::from_secs(5);

/// Longest delay between two tries.
const RETRY_AT_LAST: Duration = Duration::from_secs(300);

/// Delay before a version is loaded again after `failures` consecutive failures, the last at
/// `stage`; `None` if it is not loaded again.
pub(super) fn retry_after(stage: Stage, failures: u32) -> Option<Duration> {
    match stage {
        // Retrying at a constant rate does not help a host that is short of memory or threads.
        Stage::Host => Some(
            (RETRY_AFTER * 2_u32.saturating_pow(failures.saturating_sub(1).min(16)))
                .min(RETRY_AT_LAST),
        ),
        stage => stage.is_passing().then_some(RETRY_AFTER),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hosts_own_trouble_is_tried_again_ever_more_rarely() {
        let after = |failures| retry_after(Stage::Host, failures).map(|after| after.as_secs());
        assert_eq!([1, 2, 3, 6, 7, 100].map(after), [5, 10, 20, 160, 300, 300].map(Some));
        assert_eq!(retry_after(Stage::Quota, 9), Some(RETRY_AFTER));
        assert_eq!(retry_after(Stage::Load, 1), None);
    }
}

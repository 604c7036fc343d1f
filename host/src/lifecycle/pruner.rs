//! Deletes versions from a tenant's repository for its reconcile loop.

use std::collections::BTreeMap;
use std::sync::{Arc, Weak};

use arc_swap::ArcSwap;
use futures_util::FutureExt;
use futures_util::future::BoxFuture;

use crate::model::{ModelName, Version};
use crate::repository::{AspiredVersions, Source};

/// Deletes versions from a tenant's repository. A trait, so that tests can replace the repository.
pub(super) trait Pruner: Send + Sync {
    /// Deletes versions of a model, in this order, and scans the repository. Does nothing if the
    /// tenant's source is not the one with this number.
    fn prune(
        &self,
        source: u64,
        name: ModelName,
        versions: Vec<Version>,
    ) -> BoxFuture<'static, PruneOutcome>;
}

/// The outcome of a deletion.
#[derive(Default)]
pub(super) struct PruneOutcome {
    /// Versions that could not be deleted, each with the reason.
    pub(super) faults: BTreeMap<Version, String>,
    /// A scan that began after it; `None` if the source has stopped or was replaced.
    pub(super) aspired: Option<Arc<AspiredVersions>>,
}

/// Deletes versions from the source that a tenant has at the time.
pub(super) struct SourcePruner {
    /// Weak, so that a source ends with its tenant.
    source: Weak<ArcSwap<Source>>,
}

impl SourcePruner {
    pub(super) fn new(source: &Arc<ArcSwap<Source>>) -> Self {
        SourcePruner { source: Arc::downgrade(source) }
    }
}

impl Pruner for SourcePruner {
    fn prune(
        &self,
        source: u64,
        name: ModelName,
        versions: Vec<Version>,
    ) -> BoxFuture<'static, PruneOutcome> {
        let present = self.source.upgrade().map(|present| present.load_full());
        async move {
            let Some(source) = present.filter(|present| present.number() == source) else {
                return PruneOutcome::default();
            };
            let faults = source.prune(&name, versions).await;
            PruneOutcome { faults, aspired: source.rescan().await.ok() }
        }
        .boxed()
    }
}

//! A repository for tests of pruning. The test decides the outcome of each deletion.

use std::sync::Arc;

use futures_util::FutureExt;
use futures_util::future::BoxFuture;
use tokio::sync::{mpsc, oneshot};

use super::pruner::{PruneOutcome, Pruner};
use crate::model::{ModelName, Version};
use crate::repository::AspiredVersions;

/// Sends every deletion to the test.
pub(super) struct FakePruner {
    prunes: mpsc::UnboundedSender<FakePrune>,
}

/// A deletion that waits for its outcome.
pub(super) struct FakePrune {
    pub(super) versions: Vec<Version>,
    outcome: oneshot::Sender<PruneOutcome>,
}

impl FakePruner {
    pub(super) fn new() -> (Arc<Self>, mpsc::UnboundedReceiver<FakePrune>) {
        let (prunes, started) = mpsc::unbounded_channel();
        (Arc::new(FakePruner { prunes }), started)
    }
}

impl FakePrune {
    /// Ends the deletion; the repository holds this then.
    pub(super) fn succeed(self, aspired: Arc<AspiredVersions>) {
        self.end(PruneOutcome { aspired: Some(aspired), ..PruneOutcome::default() });
    }

    /// Deletes nothing, for this reason.
    pub(super) fn fail(self, reason: &str, aspired: Arc<AspiredVersions>) {
        let faults = self.versions.iter().map(|version| (*version, reason.to_owned())).collect();
        self.end(PruneOutcome { faults, aspired: Some(aspired) });
    }

    fn end(self, outcome: PruneOutcome) {
        let _ = self.outcome.send(outcome);
    }
}

impl Pruner for FakePruner {
    fn prune(
        &self,
        _source: u64,
        _name: ModelName,
        versions: Vec<Version>,
    ) -> BoxFuture<'static, PruneOutcome> {
        let (outcome, decided) = oneshot::channel();
        let _ = self.prunes.send(FakePrune { versions, outcome });
        decided.map(Result::unwrap_or_default).boxed()
    }
}

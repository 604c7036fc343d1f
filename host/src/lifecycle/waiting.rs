//! Who waits for something to become known of a model, or to be published.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::index::IndexEntry;
use super::manager::CommandError;
use super::record::ModelRecord;
use crate::model::{ModelName, Version};

/// Somebody who waits.
pub(super) enum Waiter {
    /// For a model to have been loaded.
    Load { name: ModelName, reply: oneshot::Sender<Result<(), CommandError>> },
    /// For what becomes of a version; nothing is said of one that is not there.
    Follow { name: ModelName, version: Version, reply: oneshot::Sender<Option<IndexEntry>> },
    /// For a model that was unloaded not to be found any more.
    Unloaded { outcome: Result<(), CommandError>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// For what there is to say of every version.
    Index { reply: oneshot::Sender<Arc<Vec<IndexEntry>>> },
}

impl Waiter {
    /// The model that it depends on, if it depends on one.
    pub(super) fn name(&self) -> Option<&ModelName> {
        match self {
            Waiter::Load { name, .. } | Waiter::Follow { name, .. } => Some(name),
            Waiter::Unloaded { .. } | Waiter::Index { .. } => None,
        }
    }

    /// Answers if there is an answer. Whoever has to wait on is given back.
    pub(super) fn answer(
        self,
        record: Option<&ModelRecord>,
        index: impl FnOnce() -> Arc<Vec<IndexEntry>>,
    ) -> Option<Waiter> {
        if record.is_some_and(|record| self.must_wait(record)) {
            return Some(self);
        }
        match self {
            Waiter::Load { reply, .. } => {
                let outcome = record.map_or(Err(CommandError::NotFound), |record| {
                    record.outcome().map_err(CommandError::Failed)
                });
                drop(reply.send(outcome));
            }
            Waiter::Follow { name, version, reply } => {
                drop(reply.send(record.and_then(|record| record.entry_of(&name, version))));
            }
            Waiter::Unloaded { outcome, reply } => drop(reply.send(outcome)),
            Waiter::Index { reply } => drop(reply.send(index())),
        }
        None
    }

    fn must_wait(&self, record: &ModelRecord) -> bool {
        match self {
            Waiter::Load { .. } => record.is_undecided(),
            Waiter::Follow { version, .. } => record.is_undecided_about(*version),
            Waiter::Unloaded { .. } | Waiter::Index { .. } => false,
        }
    }
}

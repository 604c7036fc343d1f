//! Callers that wait for the outcome of a model, or for its publication.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::error::CommandError;
use super::index_entry::IndexEntry;
use super::model_record::ModelRecord;
use crate::model::{ModelName, Version};

/// A caller that waits for a reply.
pub(super) enum Waiter {
    /// Waits until a model has been loaded.
    Load { name: ModelName, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Waits for the outcome of a version; answered with `None` if it does not exist.
    Version { name: ModelName, version: Version, reply: oneshot::Sender<Option<IndexEntry>> },
    /// Waits until an unloaded model can no longer be found.
    Unloaded { outcome: Result<(), CommandError>, reply: oneshot::Sender<Result<(), CommandError>> },
    /// Waits for the repository index.
    Index { reply: oneshot::Sender<Arc<Vec<IndexEntry>>> },
}

impl Waiter {
    /// The model that the reply depends on, if any.
    pub(super) fn model(&self) -> Option<&ModelName> {
        match self {
            Waiter::Load { name, .. } | Waiter::Version { name, .. } => Some(name),
            Waiter::Unloaded { .. } | Waiter::Index { .. } => None,
        }
    }

    /// Replies if the outcome is known; otherwise returns the waiter.
    pub(super) fn answer(
        self,
        record: Option<&ModelRecord>,
        index: impl FnOnce() -> Arc<Vec<IndexEntry>>,
    ) -> Option<Waiter> {
        if record.is_some_and(|record| self.is_pending(record)) {
            return Some(self);
        }

        match self {
            Waiter::Load { reply, .. } => {
                let outcome = record.map_or(Err(CommandError::NotFound), |record| {
                    record.load_outcome().map_err(CommandError::Failed)
                });
                drop(reply.send(outcome));
            }
            Waiter::Version { name, version, reply } => {
                drop(reply.send(record.and_then(|record| record.index_entry(&name, version))));
            }
            Waiter::Unloaded { outcome, reply } => drop(reply.send(outcome)),
            Waiter::Index { reply } => drop(reply.send(index())),
        }

        None
    }

    fn is_pending(&self, record: &ModelRecord) -> bool {
        match self {
            Waiter::Load { .. } => record.is_undecided(),
            Waiter::Version { version, .. } => record.is_undecided_about(*version),
            Waiter::Unloaded { .. } | Waiter::Index { .. } => false,
        }
    }
}

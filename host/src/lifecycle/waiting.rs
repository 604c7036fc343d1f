//! Who waits for something to become known of a model.

use tokio::sync::oneshot;

use super::index::IndexEntry;
use super::manager::{CommandError, Key};
use super::record::ModelRecord;
use crate::model::Version;

/// Somebody who waits.
pub(super) enum Waiter {
    /// For a model to have been loaded.
    Load { key: Key, reply: oneshot::Sender<Result<(), CommandError>> },
    /// For what becomes of a version; nothing is said of one that is not there.
    Follow { key: Key, version: Version, reply: oneshot::Sender<Option<IndexEntry>> },
}

impl Waiter {
    pub(super) fn key(&self) -> &Key {
        let (Waiter::Load { key, .. } | Waiter::Follow { key, .. }) = self;
        key
    }

    /// Answers if there is an answer. Whoever has to wait on is given back.
    pub(super) fn answer(self, record: Option<&ModelRecord>) -> Option<Waiter> {
        match (self, record) {
            (waiter, Some(record)) if waiter.must_wait(record) => return Some(waiter),
            (Waiter::Load { reply, .. }, Some(record)) => {
                drop(reply.send(record.outcome().map_err(CommandError::Failed)));
            }
            (Waiter::Load { reply, .. }, None) => drop(reply.send(Err(CommandError::NotFound))),
            (Waiter::Follow { key, version, reply }, record) => {
                drop(reply.send(record.and_then(|record| record.entry_of(&key.1, version))));
            }
        }
        None
    }

    fn must_wait(&self, record: &ModelRecord) -> bool {
        match self {
            Waiter::Load { .. } => record.is_undecided(),
            Waiter::Follow { version, .. } => record.is_undecided_about(*version),
        }
    }
}

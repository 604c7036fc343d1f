//! The deferred tasks of one request, while they run.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::line::Owner;
use super::{ModelSequences, metrics::Outcome};
use crate::model::{InferError, ModelName};
use crate::servable::Flight;
use crate::store::{Store, StoreError, tasks};
use crate::tenant::Tenant;

/// The deferred tasks of one request, with the lock of their session until all are done. The tasks
/// are on disk; the chain is the exclusive right to run them.
pub struct TaskChain {
    pub(in crate::servable) sequences: Arc<ModelSequences>,
    id: i64,
    session: Option<(String, Owner)>,
    response: Option<oneshot::Receiver<()>>,
    /// Counted from creation on, so that the tasks are in flight before their request ends.
    in_flight: Option<Flight>,
}

/// Delays a chain until the response is sent. Dropping it starts the chain.
#[derive(Debug)]
pub struct Afterwards(#[allow(dead_code)] oneshot::Sender<()>);

impl TaskChain {
    pub(super) fn new(
        sequences: Arc<ModelSequences>,
        id: i64,
        session: Option<(String, Owner)>,
    ) -> Self {
        let in_flight = Some(sequences.all.in_flight.begin());
        TaskChain { sequences, id, session, response: None, in_flight }
    }

    /// Returns the chain and the guard that delays it.
    pub(super) fn after_response(mut self) -> (TaskChain, Afterwards) {
        let (sender, receiver) = oneshot::channel();
        self.response = Some(receiver);
        (self, Afterwards(sender))
    }

    /// Waits until the response to the deferring request is sent.
    pub async fn may_begin(&mut self) {
        if let Some(response) = self.response.take() {
            // No value is ever sent; the other end is dropped.
            let _ = response.await;
        }
    }

    /// Stops counting the chain as in flight. Its unfinished tasks are for the next start; its
    /// session stays locked.
    pub fn leave(&mut self) {
        self.in_flight = None;
    }

    /// The chain's id, which is the id of its first task.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The tenant that owns the tasks.
    pub fn tenant(&self) -> &Arc<Tenant> {
        self.sequences.tenant()
    }

    /// The model that deferred the tasks and runs them.
    pub fn model(&self) -> &ModelName {
        self.sequences.model()
    }

    /// The id of the session that the tasks belong to.
    pub fn session(&self) -> Option<&str> {
        self.session.as_ref().map(|(id, _)| id.as_str())
    }

    /// The store that holds the tasks.
    pub fn store(&self) -> &Store {
        self.sequences.store()
    }

    /// Reads the next task; returns `None` once all are done.
    pub async fn next(&self) -> Result<Option<tasks::Next>, StoreError> {
        let id = self.id;
        self.store().read(move |connection| tasks::next(connection, id)).await
    }

    /// True if a task is still pending.
    pub async fn has(&self, task: i64) -> Result<bool, StoreError> {
        let found = self.store().read(move |connection| tasks::get(connection, task)).await?;
        Ok(found.is_some_and(|task| task.failed.is_none()))
    }

    pub(in crate::servable) fn count(&self, outcome: Outcome) {
        self.sequences.all.metrics.count(self.tenant().name(), self.model(), outcome);
    }

    /// Converts an error of the store into one of a request.
    pub(in crate::servable) fn in_store(&self, error: StoreError) -> InferError {
        error.for_request(self.tenant())
    }
}

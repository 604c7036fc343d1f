//! The tasks that one request has left behind, while they are being done.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::line::Owner;
use super::{ModelSequences, metrics::Outcome};
use crate::model::{InferError, ModelName};
use crate::servable::Flight;
use crate::store::{Store, StoreError, tasks};
use crate::tenant::Tenant;

/// The tasks that one request has left behind, and the session that they own until all are done.
/// They are on disk; this is the right to do them, which nobody else has.
pub struct TaskChain {
    pub(in crate::servable) sequences: Arc<ModelSequences>,
    id: i64,
    session: Option<(String, Owner)>,
    response: Option<oneshot::Receiver<()>>,
    /// From its making on, so that there is no moment in which a request has ended and its tasks
    /// are not there.
    in_flight: Option<Flight>,
}

/// A chain begins when this is dropped: with the response it comes after.
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

    /// A chain that does not begin before the response is on its way.
    pub(super) fn after_response(mut self) -> (TaskChain, Afterwards) {
        let (sender, receiver) = oneshot::channel();
        self.response = Some(receiver);
        (self, Afterwards(sender))
    }

    /// Waits until the response to the request that left it behind is on its way.
    pub async fn may_begin(&mut self) {
        if let Some(response) = self.response.take() {
            // Nothing is ever sent: what counts is that the other end is gone.
            let _ = response.await;
        }
    }

    /// Leaves what is not done for the next start: nobody waits for it any more, and nobody gets
    /// its session.
    pub fn leave(&mut self) {
        self.in_flight = None;
    }

    /// Its number, which is that of its first task.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// Whose tasks they are.
    pub fn tenant(&self) -> &Arc<Tenant> {
        self.sequences.tenant()
    }

    /// The model that left them behind, and is to do them.
    pub fn model(&self) -> &ModelName {
        self.sequences.model()
    }

    /// The session they belong to.
    pub fn session(&self) -> Option<&str> {
        self.session.as_ref().map(|(id, _)| id.as_str())
    }

    /// Where they are kept.
    pub fn store(&self) -> &Store {
        self.sequences.store()
    }

    /// The task that comes next; `None` once all are done.
    pub async fn next(&self) -> Result<Option<tasks::Next>, StoreError> {
        let id = self.id;
        self.store().read(move |connection| tasks::next(connection, id)).await
    }

    /// Whether a task still waits, and nobody has cancelled it.
    pub async fn has(&self, task: i64) -> Result<bool, StoreError> {
        let found = self.store().read(move |connection| tasks::get(connection, task)).await?;
        Ok(found.is_some_and(|task| task.failed.is_none()))
    }

    pub(in crate::servable) fn count(&self, outcome: Outcome) {
        self.sequences.all.metrics.count(self.tenant().name(), self.model(), outcome);
    }

    /// What an error of the store means here.
    pub(in crate::servable) fn in_store(&self, error: StoreError) -> InferError {
        error.for_request(self.tenant())
    }
}

//! The deferred tasks of one request, while they run.

use std::sync::Arc;

use tokio::sync::oneshot;

use super::lock::SessionGuard;
use super::{ModelSessions, metrics::TaskOutcome};
use crate::model::{InferError, ModelName};
use crate::servable::InFlightGuard;
use crate::store::tasks::NextTask;
use crate::store::{SessionStore, StoreError};
use crate::tenant::Tenant;

/// The deferred tasks of one request, with the lock of their session until all are done. The tasks
/// are on disk; the chain is the exclusive right to run them.
pub struct TaskChain {
    pub(in crate::servable) sessions: Arc<ModelSessions>,
    id: i64,
    session: Option<(String, SessionGuard)>,
    response: Option<oneshot::Receiver<()>>,
    /// Counted from creation on, so that the tasks are in flight before their request ends.
    in_flight: Option<InFlightGuard>,
}

/// Delays a chain until the response is sent. Dropping it starts the chain.
#[derive(Debug)]
pub struct AfterResponse(#[allow(dead_code)] oneshot::Sender<()>);

impl TaskChain {
    pub(super) fn new(
        sessions: Arc<ModelSessions>,
        id: i64,
        session: Option<(String, SessionGuard)>,
    ) -> Self {
        let in_flight = Some(sessions.sessions.in_flight.begin());
        TaskChain { sessions, id, session, response: None, in_flight }
    }

    /// Returns the chain and the guard that delays it.
    pub(super) fn begin_after_response(mut self) -> (TaskChain, AfterResponse) {
        let (sender, receiver) = oneshot::channel();
        self.response = Some(receiver);
        (self, AfterResponse(sender))
    }

    /// Waits until the response to the deferring request is sent.
    pub async fn wait_for_response(&mut self) {
        if let Some(response) = self.response.take() {
            // No value is ever sent; the other end is dropped.
            let _ = response.await;
        }
    }

    /// Stops counting the chain as in flight. Its unfinished tasks are for the next start; its
    /// session stays locked.
    pub fn leave_for_restart(&mut self) {
        self.in_flight = None;
    }

    /// The chain's id, which is the id of its first task.
    pub fn id(&self) -> i64 {
        self.id
    }

    /// The tenant that owns the tasks.
    pub fn tenant(&self) -> &Arc<Tenant> {
        self.sessions.tenant()
    }

    /// The model that deferred the tasks and runs them.
    pub fn model(&self) -> &ModelName {
        self.sessions.model()
    }

    /// The id of the session that the tasks belong to.
    pub fn session(&self) -> Option<&str> {
        self.session.as_ref().map(|(id, _)| id.as_str())
    }

    /// The store that holds the tasks.
    pub fn store(&self) -> &dyn SessionStore {
        self.sessions.store()
    }

    /// Reads the next task; returns `None` once all are done.
    pub async fn next(&self) -> Result<Option<NextTask>, StoreError> {
        self.store().next_task(self.id).await
    }

    /// True if a task is still pending.
    pub async fn is_pending(&self, task: i64) -> Result<bool, StoreError> {
        let found = self.store().get_task(task).await?;
        Ok(found.is_some_and(|task| task.failed.is_none()))
    }

    pub(in crate::servable) fn record_outcome(&self, outcome: TaskOutcome) {
        self.sessions.sessions.metrics.record_outcome(self.tenant().name(), self.model(), outcome);
    }

    /// Converts an error of the store into one of a request.
    pub(in crate::servable) fn store_error(&self, error: StoreError) -> InferError {
        error.into_infer_error(self.tenant())
    }
}

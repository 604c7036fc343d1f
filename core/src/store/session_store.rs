//! The operations on sessions and on the deferred tasks that belong to them.

use std::sync::Arc;

use async_trait::async_trait;

use super::sessions::{SessionInfo, SessionUpdate, StoredSession};
use super::tasks::{NewTask, NextTask, PendingChain, TaskInfo, TaskOrigin, TryRecord, TryStart};
use super::{Permit, StoreError};
use crate::model::ModelName;

/// The sessions and deferred tasks of one tenant. They share a store, because a call commits both
/// in one transaction. An operation that was started completes even if its future is dropped, or
/// changes nothing.
#[async_trait]
pub trait SessionStore: Send + Sync {
    /// Waits for a permit to commit.
    async fn permit(&self) -> Permit;

    /// Commits the outcome of a call. Returns the number of the new chain, if there are tasks.
    /// Fails with `QuotaExceeded` if the tenant would have too many sessions or tasks.
    async fn commit_call(
        &self,
        permit: Permit,
        commit: CallCommit,
    ) -> Result<Option<i64>, StoreError>;

    /// Loads a session. An expired session counts as missing.
    async fn load_session(
        &self,
        model: ModelName,
        id: String,
    ) -> Result<Option<StoredSession>, StoreError>;

    /// Returns the sessions of a model after an id, in order, at most `limit`.
    async fn list_sessions(
        &self,
        model: ModelName,
        after: String,
        limit: u32,
    ) -> Result<Vec<SessionInfo>, StoreError>;

    /// Deletes a session. Returns false if there was none.
    async fn delete_session(&self, model: ModelName, id: String) -> Result<bool, StoreError>;

    /// Returns a model's usage, and its sessions that had expired at `now`: at most 1000, without
    /// those that have waiting tasks.
    async fn model_usage(&self, model: ModelName, now: i64) -> Result<ModelUsage, StoreError>;

    /// Deletes these sessions, except those used since `now`.
    async fn delete_expired(
        &self,
        model: ModelName,
        ids: Vec<String>,
        now: i64,
    ) -> Result<(), StoreError>;

    /// Returns the unfinished chains of a model, oldest first.
    async fn pending_chains(&self, model: ModelName) -> Result<Vec<PendingChain>, StoreError>;

    /// Returns the next task of a chain; `None` if the chain is finished.
    async fn next_task(&self, chain: i64) -> Result<Option<NextTask>, StoreError>;

    /// Returns one task.
    async fn get_task(&self, id: i64) -> Result<Option<TaskInfo>, StoreError>;

    /// Returns the tasks after an id, in order, at most `limit`.
    async fn list_tasks(&self, after: i64, limit: u32) -> Result<Vec<TaskInfo>, StoreError>;

    /// Deletes a task, waiting or failed, and returns it. Ends its chain if it was the last.
    async fn delete_task(&self, id: i64) -> Result<Option<TaskInfo>, StoreError>;

    /// Counts a try before it starts.
    async fn begin_try(&self, id: i64, limit: u32) -> Result<TryStart, StoreError>;

    /// Commits the outcome of a try. Returns false if its task was deleted.
    async fn record_try(&self, record: Arc<TryRecord>) -> Result<bool, StoreError>;

    /// Deletes the session of a finished chain if it was marked to end.
    async fn end_chain(
        &self,
        chain: i64,
        model: ModelName,
        session: Option<String>,
    ) -> Result<(), StoreError>;
}

/// Outcome of a call, to be committed in one transaction.
#[derive(Clone, Debug)]
pub struct CallCommit {
    /// Change of the session, if the call had one.
    pub session: Option<SessionUpdate>,
    /// Request that defers the tasks.
    pub origin: TaskOrigin,
    /// Tasks to defer.
    pub tasks: Vec<NewTask>,
}

/// Sessions and tasks of one model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelUsage {
    /// Stored sessions.
    pub sessions: u64,
    /// Waiting and running tasks.
    pub tasks: u64,
    /// Ids of expired sessions.
    pub expired: Vec<String>,
}

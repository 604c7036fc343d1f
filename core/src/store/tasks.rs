//! Deferred tasks.
//!
//! The tasks of one request form a chain and run one after another. Tasks deferred by a task are
//! appended to its chain. A try is counted before it starts, so a task that kills the process is
//! not retried for ever. Failed tasks are kept for inspection, up to a limit.

use super::sessions::{SessionUpdate, StoredSession};
use crate::model::{ModelName, Version};

/// A task to defer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewTask {
    /// Name chosen by the model.
    pub name: String,
    /// Payload for the model.
    pub payload: Vec<u8>,
}

/// Request that defers tasks.
#[derive(Clone, Debug)]
pub struct TaskOrigin {
    /// Model that was called.
    pub model: ModelName,
    /// Version that was called.
    pub version: Version,
    /// Session of the request, if any.
    pub session: Option<String>,
    /// Request id.
    pub request: String,
}

/// An unfinished chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PendingChain {
    /// Id of the first task of the chain.
    pub chain: i64,
    /// Session of its tasks, if any.
    pub session: Option<String>,
}

/// The next task of a chain.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NextTask {
    /// Id, unique within the tenant.
    pub id: i64,
    /// Time of the next try.
    pub due: i64,
}

/// A task whose try starts now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueTask {
    /// Name chosen by the model.
    pub name: String,
    /// Payload for the model.
    pub payload: Vec<u8>,
    /// Id of the request that started the chain.
    pub request: String,
    /// Number of tries, including this one.
    pub tries: u32,
    /// Number of tasks that the chain has had so far.
    pub chain_length: u32,
    /// State of the session, if the task belongs to one.
    pub session: Option<StoredSession>,
}

/// Result of starting a try.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum TryStart {
    /// The try is counted and may start.
    Started(Box<DueTask>),
    /// The process ended during the last allowed try. The task is now marked as failed.
    Failed,
    /// The task was deleted.
    Cancelled,
}

/// Outcome of a try, to be committed in one transaction.
#[derive(Clone, Debug)]
pub struct TryRecord {
    /// Id of the task.
    pub task: i64,
    /// Id of the first task of the chain.
    pub chain: i64,
    /// Number of tasks that the chain has had so far.
    pub chain_length: u32,
    /// Origin of the tasks that the try deferred.
    pub origin: TaskOrigin,
    /// End of the try.
    pub end: TryEnd,
}

/// End of a try.
#[derive(Clone, Debug)]
pub enum TryEnd {
    /// The task is done and is deleted.
    Done {
        /// Change of the session, if the task belongs to one.
        update: Option<SessionUpdate>,
        /// Tasks deferred by the task.
        deferred: Vec<NewTask>,
    },
    /// The try failed and another one follows.
    Retry {
        /// Time of the next try.
        due: i64,
        /// Error of the failed try.
        error: String,
    },
    /// The last try failed.
    Failed {
        /// Change of the session, if the task belongs to one.
        update: Option<SessionUpdate>,
        /// Error of the failed try.
        error: String,
    },
    /// The try was counted but did not start, and does not count.
    NotTried {
        /// Time of the next try.
        due: i64,
    },
}

/// One entry of a task list.
#[derive(Clone, Debug, PartialEq, Eq)]
#[allow(missing_docs)] // As in the table.
pub struct TaskInfo {
    pub id: i64,
    pub chain: i64,
    pub model: String,
    pub session: Option<String>,
    pub request: String,
    pub version: u64,
    pub name: String,
    pub deferred: i64,
    pub due: i64,
    pub tries: u32,
    /// Time of the failure; `None` while the task waits.
    pub failed: Option<i64>,
    pub error: Option<String>,
    /// Size of the payload, in bytes.
    pub size: u64,
}

impl TryEnd {
    /// True if the record needs no more space than the task itself. It is then written even if
    /// the quota or the disk is full: otherwise the task and its session would stay blocked.
    pub fn needs_no_room(&self) -> bool {
        match self {
            TryEnd::Done { .. } => false,
            TryEnd::Retry { error, .. } | TryEnd::Failed { error, .. } => error.is_empty(),
            TryEnd::NotTried { .. } => true,
        }
    }

    /// Removes the error text, so that the record needs no room.
    #[must_use]
    pub fn without_error_text(mut self) -> Self {
        if let TryEnd::Retry { error, .. } | TryEnd::Failed { error, .. } = &mut self {
            error.clear();
        }

        self
    }
}

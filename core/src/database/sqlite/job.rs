//! Jobs for the threads of a database, and the replies to their callers.

use std::sync::mpsc::Receiver;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::oneshot;

#[cfg(test)]
use super::super::Value;
use super::super::{CpuMeter, Fetch, SqlError, Statement, StatementResult};
use super::cancel_token::CancelToken;
use crate::mutex::lock;

/// Sends a result. The caller may be gone.
pub(super) type Reply<T> = oneshot::Sender<Result<T, SqlError>>;

/// Work of a database thread.
pub(super) enum Job {
    /// A statement on a read-only connection. The reply is `None` if the statement would write.
    Read(StatementJob, Reply<Option<StatementResult>>),
    /// A statement in its own transaction.
    Run(StatementJob, Reply<StatementResult>),
    /// A transaction, step by step.
    Transaction(TransactionJob),
}

impl Job {
    /// Returns the meter of the caller that pays.
    pub(super) fn cpu_meter(&self) -> &CpuMeter {
        match self {
            Job::Read(job, _) | Job::Run(job, _) => &job.cpu_meter,
            Job::Transaction(job) => &job.cpu_meter,
        }
    }

    /// True if the caller is gone.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Job::Read(job, _) | Job::Run(job, _) => job.cancel_token.is_cancelled(),
            Job::Transaction(job) => job.cancel_token.is_cancelled(),
        }
    }
}

/// A statement, its cancellation state, and the account that pays for it.
pub(super) struct StatementJob {
    pub(super) statement: Statement,
    pub(super) fetch: Fetch,
    /// Written by the host; may use the host's tables.
    pub(super) is_host: bool,
    pub(super) cancel_token: CancelToken,
    pub(super) cpu_meter: CpuMeter,
}

/// A transaction to open.
pub(super) struct TransactionJob {
    pub(super) cancel_token: CancelToken,
    pub(super) cpu_meter: CpuMeter,
    pub(super) lifetime: Duration,
    pub(super) steps: Receiver<Step>,
    pub(super) begun: Reply<()>,
    pub(super) end: EndReason,
}

/// One step of a transaction.
pub(super) enum Step {
    Run(StatementJob, Reply<StatementResult>),
    /// The statements of a migration.
    RunMigration(String, CancelToken, Reply<()>),
    /// A statement of the host, which is not checked.
    ExecuteTrusted(&'static str, Reply<()>),
    Commit(Reply<()>),
}

/// Reason why a transaction ended early. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct EndReason(Arc<Mutex<Option<SqlError>>>);

impl EndReason {
    pub(super) fn set(&self, why: SqlError) {
        *lock(&self.0) = Some(why);
    }

    pub(super) fn get(&self) -> SqlError {
        let noted = lock(&self.0).clone();
        noted.unwrap_or_else(|| SqlError::Unavailable("the transaction has ended".into()))
    }
}

impl StatementJob {
    pub(super) fn new(statement: Statement, fetch: Fetch, cpu_meter: &CpuMeter) -> Self {
        StatementJob {
            statement,
            fetch,
            is_host: false,
            cancel_token: CancelToken::default(),
            cpu_meter: cpu_meter.clone(),
        }
    }

    #[cfg(test)]
    pub(super) fn query(text: &str, parameters: Vec<Value>) -> Self {
        StatementJob::new(
            Statement { text: text.into(), parameters },
            Fetch::Rows,
            &CpuMeter::default(),
        )
    }
}

/// Waits for a reply; `None` if it was lost. Cancels a job that has not started after `timeout`,
/// and any job if the future is dropped.
pub(super) async fn wait_for_reply<T>(
    cancel_token: CancelToken,
    mut answer: oneshot::Receiver<Result<T, SqlError>>,
    timeout: Option<Duration>,
) -> Option<Result<T, SqlError>> {
    let waiting = CancelOnDrop(cancel_token);
    if let Some(timeout) = timeout {
        match tokio::time::timeout(timeout, &mut answer).await {
            Ok(answer) => return answer.ok(),
            Err(_elapsed) if waiting.0.cancel_if_waiting() => return Some(Err(SqlError::Busy)),
            Err(_elapsed) => {}
        }
    }

    answer.await.ok()
}

pub(super) fn lost_reply<T>() -> Result<T, SqlError> {
    Err(SqlError::Unavailable("the statement ended unexpectedly".into()))
}

/// Cancels a job on drop.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

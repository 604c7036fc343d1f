//! A tenant's SQLite file, and the confinement of guests' statements to it.
//!
//! One connection writes and a few read, each on its own thread ([`threads`], [`worker`]). In WAL
//! mode readers and the writer do not block each other; writers queue for the one write connection.
//! Each connection is restricted before it runs a guest's statement ([`guest_connection`]).
//! Permissions are checked while a statement is prepared ([`authorizer`]). Time and memory are
//! checked while it runs ([`watchdog`]), also inside long functions ([`functions`]). Statements
//! share the cores fairly with the guests of all tenants ([`HostWorkMeter`]).
//!
//! [`HostWorkMeter`]: crate::tenant::HostWorkMeter

mod authorizer;
mod cancel_token;
mod error;
mod file;
mod functions;
#[cfg(fuzzing)]
pub mod fuzzing;
mod guest_connection;
mod job;
mod run;
mod statement;
mod threads;
mod transaction;
mod watchdog;
mod worker;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(super) use transaction::Transaction;

use self::cancel_token::CancelToken;
use self::file::DatabaseFile;
use self::guest_connection::Access;
use self::job::{EndReason, Job, Reply, StatementJob, TransactionJob, lost_reply, wait_for_reply};
use self::statement::first_word;
use self::threads::ConnectionThreads;
use super::{CpuMeter, DatabaseConfig, Fetch, SqlError, Statement, StatementResult, Value};
use crate::tenant::{FairScheduler, Tenant};

/// Limit of read connections. More than one, so that a slow report does not delay a tenant's short
/// lookups.
const READERS: usize = 3;

/// One tenant's file and its threads.
pub(super) struct Sqlite {
    file: Arc<DatabaseFile>,
    readers: ConnectionThreads,
    writer: ConnectionThreads,
}

impl Sqlite {
    /// Creates the database without opening it. Threads are spawned from `runtime`.
    pub(super) fn new(
        path: PathBuf,
        config: DatabaseConfig,
        tenant: Arc<Tenant>,
        turns: Arc<FairScheduler>,
        runtime: Option<Handle>,
    ) -> Self {
        let file = Arc::new(DatabaseFile::new(path, config, tenant, turns));
        file.record_size_on_disk();

        let readers = ConnectionThreads::new(Access::Read, READERS, file.clone(), runtime.clone());
        Sqlite {
            readers,
            writer: ConnectionThreads::new(Access::Write, 1, file.clone(), runtime),
            file,
        }
    }

    /// Runs one statement in its own transaction.
    pub(super) async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
        cpu_meter: &CpuMeter,
    ) -> Result<StatementResult, SqlError> {
        if fetch == Fetch::Rows && may_only_read(&statement.text) {
            let job = StatementJob::new(statement.clone(), fetch, cpu_meter);
            if let Some(outcome) = self.submit(&self.readers, job, Job::Read).await? {
                return Ok(outcome);
            }
        }

        self.submit(&self.writer, StatementJob::new(statement, fetch, cpu_meter), Job::Run).await
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    pub(super) async fn host_table_rows(
        &self,
        statement: Statement,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let job = StatementJob {
            is_host: true,
            ..StatementJob::new(statement, Fetch::Rows, &CpuMeter::default())
        };
        match self.submit(&self.readers, job, Job::Read).await {
            Ok(outcome) => Ok(outcome.unwrap_or_default().rows),
            Err(SqlError::Invalid(text)) if text.starts_with("no such table") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn submit<T>(
        &self,
        threads: &ConnectionThreads,
        job: StatementJob,
        kind: impl FnOnce(StatementJob, Reply<T>) -> Job,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        let cancel_token = job.cancel_token.clone();
        threads.submit(kind(job, reply))?;

        wait_for_reply(cancel_token, answer, Some(self.file.config.busy_timeout))
            .await
            .unwrap_or_else(lost_reply)
    }

    /// Opens a transaction that ends after `lifetime` at the latest. Waits at most `timeout` for
    /// other writers.
    pub(super) async fn begin(
        &self,
        lifetime: Duration,
        timeout: Duration,
        cpu_meter: &CpuMeter,
    ) -> Result<Transaction, SqlError> {
        let cancel_token = CancelToken::default();
        let end = EndReason::default();
        let (begun, answer) = oneshot::channel();
        let (sender, steps) = std::sync::mpsc::channel();

        let job = TransactionJob {
            cancel_token: cancel_token.clone(),
            cpu_meter: cpu_meter.clone(),
            lifetime,
            steps,
            begun,
            end: end.clone(),
        };
        self.writer.submit(Job::Transaction(job))?;
        wait_for_reply(cancel_token, answer, Some(timeout)).await.unwrap_or_else(lost_reply)?;

        Ok(Transaction::new(sender, end, cpu_meter.clone()))
    }

    /// Accepts no more jobs.
    pub(super) fn close(&self) {
        self.readers.close();
        self.writer.close();
    }

    /// Blocks until every connection is closed, or until `until`.
    pub(super) fn wait_closed(&self, until: Instant) {
        self.readers.wait_ended(until);
        self.writer.wait_ended(until);
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

/// True if a statement starts like one that only reads. It is tried on a read connection first; if
/// it writes after all, it runs again on the write connection.
fn may_only_read(text: &str) -> bool {
    let word = first_word(text);
    ["select", "values", "with", "explain", "pragma"]
        .iter()
        .any(|reading| reading.eq_ignore_ascii_case(word))
}

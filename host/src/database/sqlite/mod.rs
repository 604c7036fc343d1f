//! A tenant's SQLite file, and the confinement of guests' statements to it.
//!
//! One connection writes and a few read, each on its own thread ([`threads`], [`worker`]). In WAL
//! mode readers and the writer do not block each other; writers queue for the one write connection.
//! Each connection is restricted before it runs a guest's statement ([`connection`]). Permissions
//! are checked while a statement is prepared ([`authorizer`]). Time and memory are checked while it
//! runs ([`watchdog`]), also inside long functions ([`functions`]). Statements share the cores
//! fairly with the guests of all tenants ([`Meter`]).
//!
//! [`Meter`]: crate::tenant::CpuMeter

mod authorizer;
mod connection;
mod functions;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod run;
mod threads;
mod transaction;
mod watchdog;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(super) use authorizer::HOST_PREFIX;
pub(super) use transaction::Transaction;

use self::connection::{GuestConnection, PAGE_SIZE, Role};
use self::threads::ConnectionThreads;
use self::watchdog::CancelToken;
use self::worker::{EndReason, Job, Reply, StatementJob, TransactionJob};
use super::{CpuMeter, DatabaseConfig, Fetch, SqlError, Statement, StatementResult, Value};
use crate::journal::{self, journal_path};
use crate::tenant::{CpuShare, FairScheduler, Resource, Tenant};

/// Limit of read connections. More than one, so that a slow report does not delay a tenant's short
/// lookups.
const READERS: usize = 3;

/// Length of the journal, in bytes, above which readers are blocked until it is folded. It grows as
/// long as there is always a reader.
const MAX_LOG: u64 = 64 << 20;

/// One tenant's file and its threads.
pub(super) struct Sqlite {
    file: Arc<DatabaseFile>,
    readers: ConnectionThreads,
    writer: ConnectionThreads,
}

/// State shared by the threads of one database.
struct DatabaseFile {
    path: PathBuf,
    config: DatabaseConfig,
    tenant: Arc<Tenant>,
    /// Account that pays for statements and determines their turns.
    share: Arc<CpuShare>,
    turns: Arc<FairScheduler>,
    /// Held shared by readers, and exclusively by the writer while it folds a long journal.
    log_gate: RwLock<()>,
    /// True once the existing journal is known to belong to the file.
    log_checked: Mutex<bool>,
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
        let share = CpuShare::new(tenant.account().clone());
        let file = Arc::new(DatabaseFile {
            path,
            config,
            tenant,
            share,
            turns,
            log_gate: RwLock::new(()),
            log_checked: Mutex::new(false),
        });
        file.record_size_on_disk();

        let readers = ConnectionThreads::new(Role::Read, READERS, file.clone(), runtime.clone());
        Sqlite {
            readers,
            writer: ConnectionThreads::new(Role::Write, 1, file.clone(), runtime),
            file,
        }
    }

    /// Runs one statement in its own transaction.
    pub(super) async fn run(
        &self,
        statement: Statement,
        wanted: Fetch,
        bill: &CpuMeter,
    ) -> Result<StatementResult, SqlError> {
        if wanted == Fetch::Rows && may_only_read(&statement.text) {
            let order = StatementJob::new(statement.clone(), wanted, bill);
            if let Some(outcome) = self.submit(&self.readers, order, Job::Read).await? {
                return Ok(outcome);
            }
        }

        self.submit(&self.writer, StatementJob::new(statement, wanted, bill), Job::Run).await
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    pub(super) async fn host_table_rows(
        &self,
        statement: Statement,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let order = StatementJob {
            is_host: true,
            ..StatementJob::new(statement, Fetch::Rows, &CpuMeter::default())
        };
        match self.submit(&self.readers, order, Job::Read).await {
            Ok(outcome) => Ok(outcome.unwrap_or_default().rows),
            Err(SqlError::Invalid(said)) if said.starts_with("no such table") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn submit<T>(
        &self,
        crew: &ConnectionThreads,
        order: StatementJob,
        job: impl FnOnce(StatementJob, Reply<T>) -> Job,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        let ticket = order.ticket.clone();
        crew.submit(job(order, reply))?;
        wait_for_reply(ticket, answer, Some(self.file.config.busy_timeout))
            .await
            .unwrap_or_else(lost_reply)
    }

    /// Opens a transaction that ends after `lifetime` at the latest. Waits at most `patience` for
    /// other writers.
    pub(super) async fn begin(
        &self,
        lifetime: Duration,
        patience: Duration,
        bill: &CpuMeter,
    ) -> Result<Transaction, SqlError> {
        let (ticket, end) = (CancelToken::default(), EndReason::default());
        let (begun, answer) = oneshot::channel();
        let (steps, taken) = std::sync::mpsc::channel();
        let (of_worker, bill) = (ticket.clone(), bill.clone());
        let opening = TransactionJob {
            ticket: of_worker,
            bill: bill.clone(),
            lifetime,
            steps: taken,
            begun,
            end: end.clone(),
        };
        self.writer.submit(Job::Transaction(opening))?;
        wait_for_reply(ticket, answer, Some(patience)).await.unwrap_or_else(lost_reply)?;

        Ok(Transaction::new(steps, end, bill))
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

impl DatabaseFile {
    /// Reports the file's size to the tenant's quota.
    fn record_size(&self, guarded: &GuestConnection) {
        if let Ok(pages) = guarded.query_number("PRAGMA page_count") {
            self.tenant.set_kept(Resource::Database, pages * PAGE_SIZE);
        }
    }

    /// Reports the size without opening the file, which may exist from an earlier run.
    fn record_size_on_disk(&self) {
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        self.tenant.set_kept(Resource::Database, size);
    }

    /// Folds the journal if it is long. If it is very long, readers are blocked meanwhile.
    fn checkpoint_log(&self, guarded: &mut GuestConnection) {
        guarded.checkpoint_if_long();

        if guarded.journal_length() > MAX_LOG {
            let _gate = self.log_gate.write().unwrap_or_else(PoisonError::into_inner);
            let _ = guarded.checkpoint();
        }
    }

    /// Checks, before the file is opened for the first time, that the journal beside it belongs to
    /// it.
    fn check_log(&self) -> Result<(), SqlError> {
        let mut checked = self.log_checked.lock().unwrap_or_else(PoisonError::into_inner);
        if *checked {
            return Ok(());
        }

        journal::check(&self.path).map_err(|error| self.cannot_open(&error))?;
        *checked = true;

        Ok(())
    }

    /// True if the journal is empty or missing.
    fn is_checkpointed(&self) -> bool {
        std::fs::metadata(journal_path(&self.path)).map_or(true, |metadata| metadata.len() == 0)
    }

    fn cannot_open(&self, error: &dyn std::fmt::Display) -> SqlError {
        tracing::error!(tenant = %self.tenant.name(), path = %self.path.display(), %error, "cannot open a database");
        SqlError::Unavailable("it cannot be opened; the host's log has the details".into())
    }
}

impl StatementJob {
    fn new(statement: Statement, wanted: Fetch, bill: &CpuMeter) -> Self {
        StatementJob {
            statement,
            fetch: wanted,
            is_host: false,
            ticket: CancelToken::default(),
            bill: bill.clone(),
        }
    }

    #[cfg(test)]
    fn query(text: &str, parameters: Vec<Value>) -> Self {
        StatementJob::new(
            Statement { text: text.into(), parameters },
            Fetch::Rows,
            &CpuMeter::default(),
        )
    }
}

/// Waits for a reply; `None` if it was lost. Cancels a job that has not started after `patience`,
/// and any job if the future is dropped.
async fn wait_for_reply<T>(
    ticket: CancelToken,
    mut answer: oneshot::Receiver<Result<T, SqlError>>,
    patience: Option<Duration>,
) -> Option<Result<T, SqlError>> {
    let waiting = CancelOnDrop(ticket);
    if let Some(patience) = patience {
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => return answer.ok(),
            Err(_elapsed) if waiting.0.cancel_if_waiting() => return Some(Err(SqlError::Busy)),
            Err(_elapsed) => {}
        }
    }

    answer.await.ok()
}

fn lost_reply<T>() -> Result<T, SqlError> {
    Err(SqlError::Unavailable("the statement ended unexpectedly".into()))
}

/// Cancels a job on drop.
struct CancelOnDrop(CancelToken);

impl Drop for CancelOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

/// True if a statement starts like one that only reads. It is tried on a read connection first; if
/// it writes after all, it runs again on the write connection.
fn may_only_read(text: &str) -> bool {
    let word = text
        .trim_start()
        .split(|character: char| !character.is_ascii_alphabetic())
        .next()
        .unwrap_or_default();
    ["select", "values", "with", "explain", "pragma"]
        .iter()
        .any(|reading| reading.eq_ignore_ascii_case(word))
}

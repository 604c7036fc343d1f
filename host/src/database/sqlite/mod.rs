//! A tenant's SQLite file, and the confinement of guests' statements to it.
//!
//! One connection writes and a few read, each on its own thread ([`crew`], [`worker`]). In WAL mode
//! readers and the writer do not block each other; writers queue for the one write connection. Each
//! connection is restricted before it runs a guest's statement ([`connection`]). Permissions are
//! checked while a statement is prepared ([`authorize`]). Time and memory are checked while it runs
//! ([`watch`]), also inside long functions ([`functions`]). Statements share the cores fairly with
//! the guests of all tenants ([`Meter`]).
//!
//! [`Meter`]: crate::tenant::Meter

mod authorize;
mod connection;
mod crew;
mod functions;
#[cfg(fuzzing)]
pub(crate) mod fuzzing;
mod run;
mod transaction;
mod watch;
mod worker;

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};
use std::time::{Duration, Instant};

use tokio::runtime::Handle;
use tokio::sync::oneshot;

pub(super) use authorize::OWN;
pub(super) use transaction::Transaction;

use self::connection::{Guarded, PAGE, Role};
use self::crew::Crew;
use self::watch::Ticket;
use self::worker::{End, Job, Opening, Order, Reply};
use super::{Bill, DatabaseConfig, Outcome, SqlError, Statement, Value, Wanted};
use crate::journal::{self, journal_of};
use crate::tenant::{Resource, Share, Tenant, Turns};

/// Limit of read connections. More than one, so that a slow report does not delay a tenant's short
/// lookups.
const READERS: usize = 3;

/// Length of the journal, in bytes, above which readers are blocked until it is folded. It grows as
/// long as there is always a reader.
const LOG: u64 = 64 << 20;

/// One tenant's file and its threads.
pub(super) struct Sqlite {
    file: Arc<File>,
    readers: Crew,
    writer: Crew,
}

/// State shared by the threads of one database.
struct File {
    path: PathBuf,
    config: DatabaseConfig,
    tenant: Arc<Tenant>,
    /// Account that pays for statements and determines their turns.
    share: Arc<Share>,
    turns: Arc<Turns>,
    /// Held shared by readers, and exclusively by the writer while it folds a long journal.
    gate: RwLock<()>,
    /// True once the existing journal is known to belong to the file.
    checked: Mutex<bool>,
}

impl Sqlite {
    /// Creates the database without opening it. Threads are spawned from `runtime`.
    pub(super) fn new(
        path: PathBuf,
        config: DatabaseConfig,
        tenant: Arc<Tenant>,
        turns: Arc<Turns>,
        runtime: Option<Handle>,
    ) -> Self {
        let share = Share::new(tenant.account().clone());
        let file = Arc::new(File {
            path,
            config,
            tenant,
            share,
            turns,
            gate: RwLock::new(()),
            checked: Mutex::new(false),
        });
        file.note_size_on_disk();

        let readers = Crew::new(Role::Read, READERS, file.clone(), runtime.clone());
        Sqlite { readers, writer: Crew::new(Role::Write, 1, file.clone(), runtime), file }
    }

    /// Runs one statement in its own transaction.
    pub(super) async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
        bill: &Bill,
    ) -> Result<Outcome, SqlError> {
        if wanted == Wanted::Rows && may_only_read(&statement.text) {
            let order = Order::new(statement.clone(), wanted, bill);
            if let Some(outcome) = self.ask(&self.readers, order, Job::Read).await? {
                return Ok(outcome);
            }
        }

        self.ask(&self.writer, Order::new(statement, wanted, bill), Job::Run).await
    }

    /// Queries a table of the host. Returns no rows if the table does not exist.
    pub(super) async fn own_rows(&self, statement: Statement) -> Result<Vec<Vec<Value>>, SqlError> {
        let order = Order { own: true, ..Order::new(statement, Wanted::Rows, &Bill::default()) };
        match self.ask(&self.readers, order, Job::Read).await {
            Ok(outcome) => Ok(outcome.unwrap_or_default().rows),
            Err(SqlError::Invalid(said)) if said.starts_with("no such table") => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    async fn ask<T>(
        &self,
        crew: &Crew,
        order: Order,
        job: impl FnOnce(Order, Reply<T>) -> Job,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        let ticket = order.ticket.clone();
        crew.give(job(order, reply))?;
        answered(ticket, answer, Some(self.file.config.busy_timeout))
            .await
            .unwrap_or_else(unanswered)
    }

    /// Opens a transaction that ends after `lifetime` at the latest. Waits at most `patience` for
    /// other writers.
    pub(super) async fn begin(
        &self,
        lifetime: Duration,
        patience: Duration,
        bill: &Bill,
    ) -> Result<Transaction, SqlError> {
        let (ticket, end) = (Ticket::default(), End::default());
        let (begun, answer) = oneshot::channel();
        let (steps, taken) = std::sync::mpsc::channel();
        let (of_worker, bill) = (ticket.clone(), bill.clone());
        let opening = Opening {
            ticket: of_worker,
            bill: bill.clone(),
            lifetime,
            steps: taken,
            begun,
            end: end.clone(),
        };
        self.writer.give(Job::Transaction(opening))?;
        answered(ticket, answer, Some(patience)).await.unwrap_or_else(unanswered)?;

        Ok(Transaction::new(steps, end, bill))
    }

    /// Accepts no more jobs.
    pub(super) fn close(&self) {
        self.readers.close();
        self.writer.close();
    }

    /// Blocks until every connection is closed, or until `until`.
    pub(super) fn until_closed(&self, until: Instant) {
        self.readers.until_ended(until);
        self.writer.until_ended(until);
    }
}

impl Drop for Sqlite {
    fn drop(&mut self) {
        self.close();
    }
}

impl File {
    /// Reports the file's size to the tenant's quota.
    fn note_size(&self, guarded: &Guarded) {
        if let Ok(pages) = guarded.number("PRAGMA page_count") {
            self.tenant.note_kept(Resource::Database, pages * PAGE);
        }
    }

    /// Reports the size without opening the file, which may exist from an earlier run.
    fn note_size_on_disk(&self) {
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        self.tenant.note_kept(Resource::Database, size);
    }

    /// Folds the journal if it is long. If it is very long, readers are blocked meanwhile.
    fn shorten_log(&self, guarded: &mut Guarded) {
        guarded.shorten_journal();

        if guarded.journal_length() > LOG {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            let _ = guarded.fold_journal();
        }
    }

    /// Checks, before the file is opened for the first time, that the journal beside it belongs to
    /// it.
    fn check_log(&self) -> Result<(), SqlError> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if *checked {
            return Ok(());
        }

        journal::check(&self.path).map_err(|error| self.cannot_open(&error))?;
        *checked = true;

        Ok(())
    }

    /// True if the journal is empty or missing.
    fn is_folded(&self) -> bool {
        std::fs::metadata(journal_of(&self.path)).map_or(true, |metadata| metadata.len() == 0)
    }

    fn cannot_open(&self, error: &dyn std::fmt::Display) -> SqlError {
        tracing::error!(tenant = %self.tenant.name(), path = %self.path.display(), %error, "cannot open a database");
        SqlError::Unavailable("it cannot be opened; the host's log has the details".into())
    }
}

impl Order {
    fn new(statement: Statement, wanted: Wanted, bill: &Bill) -> Self {
        Order { statement, wanted, own: false, ticket: Ticket::default(), bill: bill.clone() }
    }

    #[cfg(test)]
    fn query(text: &str, parameters: Vec<Value>) -> Self {
        Order::new(Statement { text: text.into(), parameters }, Wanted::Rows, &Bill::default())
    }
}

/// Waits for a reply; `None` if it was lost. Cancels a job that has not started after `patience`,
/// and any job if the future is dropped.
async fn answered<T>(
    ticket: Ticket,
    mut answer: oneshot::Receiver<Result<T, SqlError>>,
    patience: Option<Duration>,
) -> Option<Result<T, SqlError>> {
    let waiting = Waiting(ticket);
    if let Some(patience) = patience {
        match tokio::time::timeout(patience, &mut answer).await {
            Ok(answer) => return answer.ok(),
            Err(_elapsed) if waiting.0.withdraw() => return Some(Err(SqlError::Busy)),
            Err(_elapsed) => {}
        }
    }

    answer.await.ok()
}

fn unanswered<T>() -> Result<T, SqlError> {
    Err(SqlError::Unavailable("the statement ended unexpectedly".into()))
}

/// Cancels a job on drop.
struct Waiting(Ticket);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.give_up();
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

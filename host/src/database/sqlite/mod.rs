//! A tenant's own SQLite file, and everything that keeps a guest's statements within it.
//!
//! One connection writes and a few read, each on a thread of its own ([`crew`], [`worker`]); in WAL
//! mode readers and the writer do not wait for each other, and whoever wants to write waits in line
//! for the one that may. Each connection is hardened before it takes a statement of a guest's
//! ([`connection`]); what a statement may do is asked while it is prepared ([`authorize`]), what it
//! may take is watched while it runs ([`watch`]), also inside of functions that may take long
//! ([`functions`]), and it runs in turns with the guests of all tenants ([`Meter`]).
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

/// Connections that read at the same time: a tenant's slow report must not keep its short look-ups
/// waiting.
const READERS: usize = 3;

/// Bytes of the log of changes beyond which readers are made to wait until it is short again. It
/// grows while there is always one of them at work.
const LOG: u64 = 64 << 20;

/// One tenant's file.
pub(super) struct Sqlite {
    file: Arc<File>,
    readers: Crew,
    writer: Crew,
}

/// What the threads of one database share.
struct File {
    path: PathBuf,
    config: DatabaseConfig,
    tenant: Arc<Tenant>,
    /// Its statements are paid for from the tenant's part of the cores, and wait for their turns.
    share: Arc<Share>,
    turns: Arc<Turns>,
    /// Readers hold it, and the writer while it shortens the log.
    gate: RwLock<()>,
    /// The log that was there at the beginning is the file's own.
    checked: Mutex<bool>,
}

impl Sqlite {
    /// Opens nothing yet. Its threads are started from within that runtime.
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

    /// Carries out one statement by itself.
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

    /// What is found in a table of the host's own; nothing if it is not there yet.
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

    /// Begins a transaction that ends after `lifetime` at the latest, once no other is open, for
    /// which it waits no longer than `patience`.
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

    /// Takes no more work.
    pub(super) fn close(&self) {
        self.readers.close();
        self.writer.close();
    }

    /// Waits until everything is closed, or until then. Blocks.
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
    /// Notes what the tenant holds.
    fn note_size(&self, guarded: &Guarded) {
        if let Ok(pages) = guarded.number("PRAGMA page_count") {
            self.tenant.note_kept(Resource::Database, pages * PAGE);
        }
    }

    /// Notes it without opening the file: it may have been there for long.
    fn note_size_on_disk(&self) {
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        self.tenant.note_kept(Resource::Database, size);
    }

    /// Has the log begin anew if it has become long. If it has become very long, readers are made
    /// to wait for that.
    fn shorten_log(&self, guarded: &mut Guarded) {
        guarded.shorten_journal();
        if guarded.journal_length() > LOG {
            let _gate = self.gate.write().unwrap_or_else(PoisonError::into_inner);
            let _ = guarded.fold_journal();
        }
    }

    /// Makes sure, before the file is opened for the first time, that the log beside it is its own.
    fn check_log(&self) -> Result<(), SqlError> {
        let mut checked = self.checked.lock().unwrap_or_else(PoisonError::into_inner);
        if *checked {
            return Ok(());
        }
        journal::check(&self.path).map_err(|error| self.cannot_open(&error))?;
        *checked = true;
        Ok(())
    }

    /// True if everything is in the file, and nothing in its log.
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

/// Waits for an answer; `None` if there is none. Work that has not begun after `patience` is given
/// up, and all of it when nobody waits any more.
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

/// Somebody waits for a piece of work; gives it up on drop.
struct Waiting(Ticket);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.give_up();
    }
}

/// Whether a statement begins like one that changes nothing. One that does begins on the reading
/// side and goes on where it may write.
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

//! A thread's work: single statements, and transactions, in which it stays until they end.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::limits::open_too_long;
use super::super::{Bill, Outcome, SqlError, Statement, Wanted};
use super::File;
use super::connection::{Guarded, Role, TIDYING};
use super::run::{Read, Terms};
use super::watch::Ticket;
use crate::tenant::Meter;

/// Where an answer goes. Nobody may be there to take it.
pub(super) type Reply<T> = oneshot::Sender<Result<T, SqlError>>;

/// What a thread is to do.
pub(super) enum Job {
    /// A statement that may turn out to change something, on a connection that only reads.
    Read(Order, Reply<Option<Outcome>>),
    /// A statement by itself.
    Run(Order, Reply<Outcome>),
    /// A transaction, step by step.
    Transaction(Opening),
}

impl Job {
    /// Whether nobody waits for it any more.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Job::Read(order, _) | Job::Run(order, _) => order.ticket.is_given_up(),
            Job::Transaction(opening) => opening.ticket.is_given_up(),
        }
    }
}

/// A statement, who waits for it, and who pays.
pub(super) struct Order {
    pub(super) statement: Statement,
    pub(super) wanted: Wanted,
    /// No guest has written it, and it may use tables that no guest may touch.
    pub(super) own: bool,
    pub(super) ticket: Ticket,
    pub(super) bill: Bill,
}

/// A transaction that is to be begun.
pub(super) struct Opening {
    pub(super) ticket: Ticket,
    pub(super) bill: Bill,
    pub(super) lifetime: Duration,
    pub(super) steps: Receiver<Step>,
    pub(super) begun: Reply<()>,
    pub(super) end: End,
}

/// What is to be done within a transaction.
pub(super) enum Step {
    Run(Order, Reply<Outcome>),
    /// Several statements of a migration.
    RunAll(String, Ticket, Reply<()>),
    /// A statement of the host's own.
    Own(&'static str, Reply<()>),
    Commit(Reply<()>),
}

/// Why a transaction has ended before its owner ended it. A clone is the same.
#[derive(Clone, Default)]
pub(super) struct End(Arc<Mutex<Option<SqlError>>>);

impl End {
    fn note(&self, why: SqlError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(super) fn why(&self) -> SqlError {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        noted.unwrap_or_else(|| SqlError::Unavailable("the transaction has ended".into()))
    }
}

/// A thread with its connection.
pub(super) struct Worker {
    file: Arc<File>,
    role: Role,
    meter: Meter,
    open: Option<Guarded>,
}

impl Worker {
    pub(super) fn new(file: Arc<File>, role: Role) -> Self {
        let meter = Meter::new(file.turns.clone(), file.share.clone());
        Worker { file, role, meter, open: None }
    }

    /// Does something, at the expense of whoever asked.
    pub(super) fn carry_out(&mut self, job: Job) {
        let _paying = self.meter.paid_by(job.bill());
        match job {
            Job::Read(order, reply) => self.read(order, reply),
            Job::Run(order, reply) => self.run(order, reply),
            Job::Transaction(opening) => self.transaction(opening),
        }
    }

    /// Whether the thread is one that is behind all others for good. Another one has to go on.
    pub(super) fn has_stepped_back(&self) -> bool {
        self.meter.has_stepped_back()
    }

    fn read(&mut self, order: Order, reply: Reply<Option<Outcome>>) {
        if !order.ticket.begin() {
            return;
        }
        let file = self.file.clone();
        // Held against nobody but a writer that must shorten the log.
        let _gate = file.gate.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.connection().and_then(|guarded| {
            let terms = Terms {
                ticket: &order.ticket,
                allowed: file.config.statement_time,
                open_until: None,
            };
            guarded.read(&order, &file.config, &terms)
        });
        let _ = reply.send(outcome.map(|read| match read {
            Read::Done(outcome) => Some(outcome),
            Read::Writes => None,
        }));
    }

    fn run(&mut self, order: Order, reply: Reply<Outcome>) {
        if !order.ticket.begin() {
            return;
        }
        let file = self.file.clone();
        let outcome = self.for_writing().and_then(|guarded| {
            let terms = Terms {
                ticket: &order.ticket,
                allowed: file.config.statement_time,
                open_until: None,
            };
            guarded.run(&order, &file.config, &terms)
        });
        self.settle();
        let _ = reply.send(outcome);
    }

    fn transaction(&mut self, opening: Opening) {
        let Opening { ticket, lifetime, steps, begun, end, .. } = opening;
        if !ticket.begin() {
            return;
        }
        let open_until = Instant::now() + lifetime;
        let outcome = self.for_writing().and_then(|guarded| {
            guarded.own("BEGIN IMMEDIATE").map_err(|error| guarded.explain(&error))
        });
        let is_open = outcome.is_ok();
        let _ = begun.send(outcome);
        if is_open {
            self.take_steps(&steps, open_until, &end);
        }
        self.settle();
    }

    /// Takes steps until the transaction ends, or nobody has any more, or its time is over.
    fn take_steps(&mut self, steps: &Receiver<Step>, open_until: Instant, end: &End) {
        loop {
            match steps.recv_timeout(open_until.saturating_duration_since(Instant::now())) {
                Ok(step) => {
                    if !self.step(step, open_until, end) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return end.note(open_too_long()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Takes a step. Tells whether the transaction goes on.
    fn step(&mut self, step: Step, open_until: Instant, end: &End) -> bool {
        let file = self.file.clone();
        let Ok(guarded) = self.connection() else { return false };
        let terms = |ticket| Terms {
            ticket,
            allowed: file.config.statement_time,
            open_until: Some(open_until),
        };
        match step {
            Step::Run(order, reply) if order.ticket.begin() => {
                let outcome = guarded.run(&order, &file.config, &terms(&order.ticket));
                end.note_rolled_back(guarded);
                let _ = reply.send(outcome);
            }
            Step::RunAll(statements, ticket, reply) if ticket.begin() => {
                let allowed = open_until.saturating_duration_since(Instant::now());
                let outcome = guarded.run_all(&statements, &Terms { allowed, ..terms(&ticket) });
                end.note_rolled_back(guarded);
                let _ = reply.send(outcome);
            }
            Step::Own(statement, reply) => {
                let _ = reply.send(guarded.own(statement).map_err(|error| guarded.explain(&error)));
            }
            Step::Commit(reply) => {
                let _ = reply.send(guarded.own("COMMIT").map_err(|error| guarded.explain(&error)));
                return false;
            }
            Step::Run(..) | Step::RunAll(..) => {}
        }
        // Some errors take the whole transaction back; what followed would be kept by itself.
        !guarded.connection.is_autocommit()
    }

    /// Ends whatever is still open, and looks at how large the file has become.
    fn settle(&mut self) {
        let Some(guarded) = &mut self.open else { return };
        if !guarded.connection.is_autocommit() && guarded.own("ROLLBACK").is_err() {
            // A connection that cannot even go back is of no use any more.
            self.open = None;
            return;
        }
        self.file.note_size(guarded);
        self.file.shorten_log(guarded);
    }

    fn for_writing(&mut self) -> Result<&mut Guarded, SqlError> {
        let quota = self.file.tenant.settings().quota.database;
        let guarded = self.connection()?;
        guarded.set_quota(quota).map_err(|error| guarded.explain(&error))?;
        guarded.begin_journal();
        Ok(guarded)
    }

    fn connection(&mut self) -> Result<&mut Guarded, SqlError> {
        match &mut self.open {
            Some(guarded) => Ok(guarded),
            none => {
                self.file.check_log()?;
                let opened = Guarded::open(
                    &self.file.path,
                    self.role,
                    &self.file.config,
                    self.meter.clone(),
                );
                Ok(none.insert(opened.map_err(|error| self.file.cannot_open(&error))?))
            }
        }
    }

    /// Gives back to the disk what was deleted, as far as that is quick, and closes the connection.
    pub(super) fn close(self) {
        let Some(mut guarded) = self.open else { return };
        let mut folded = Ok(self.file.is_folded());
        if self.role == Role::Write {
            if guarded.watch.begin(&Ticket::default(), TIDYING, None).is_ok() {
                let _ = guarded.own("PRAGMA incremental_vacuum");
            }
            guarded.watch.end();
            self.file.note_size(&guarded);
            folded = guarded.fold_journal();
        }
        if let Err(error) = folded.and_then(|folded| guarded.close(folded)) {
            tracing::warn!(%error, tenant = %self.file.tenant.name(), "a database was not closed well");
        }
    }
}

impl Job {
    fn bill(&self) -> &Bill {
        match self {
            Job::Read(order, _) | Job::Run(order, _) => &order.bill,
            Job::Transaction(opening) => &opening.bill,
        }
    }
}

impl End {
    fn note_rolled_back(&self, guarded: &Guarded) {
        if guarded.connection.is_autocommit() {
            self.note(SqlError::Unavailable(
                "an earlier error has rolled the transaction back".into(),
            ));
        }
    }
}

//! Runs the jobs of one database thread: single statements and transactions. A transaction occupies
//! its thread until it ends.

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

/// Sends a result. The caller may be gone.
pub(super) type Reply<T> = oneshot::Sender<Result<T, SqlError>>;

/// Work of a database thread.
pub(super) enum Job {
    /// A statement on a read-only connection. The reply is `None` if the statement would write.
    Read(Order, Reply<Option<Outcome>>),
    /// A statement in its own transaction.
    Run(Order, Reply<Outcome>),
    /// A transaction, step by step.
    Transaction(Opening),
}

impl Job {
    /// True if the caller is gone.
    pub(super) fn is_given_up(&self) -> bool {
        match self {
            Job::Read(order, _) | Job::Run(order, _) => order.ticket.is_given_up(),
            Job::Transaction(opening) => opening.ticket.is_given_up(),
        }
    }
}

/// A statement, its cancellation state, and the account that pays for it.
pub(super) struct Order {
    pub(super) statement: Statement,
    pub(super) wanted: Wanted,
    /// Written by the host; may use the host's tables.
    pub(super) own: bool,
    pub(super) ticket: Ticket,
    pub(super) bill: Bill,
}

/// A transaction to open.
pub(super) struct Opening {
    pub(super) ticket: Ticket,
    pub(super) bill: Bill,
    pub(super) lifetime: Duration,
    pub(super) steps: Receiver<Step>,
    pub(super) begun: Reply<()>,
    pub(super) end: End,
}

/// One step of a transaction.
pub(super) enum Step {
    Run(Order, Reply<Outcome>),
    /// The statements of a migration.
    RunAll(String, Ticket, Reply<()>),
    /// A statement of the host.
    Own(&'static str, Reply<()>),
    Commit(Reply<()>),
}

/// Reason why a transaction ended early. A clone is shallow.
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

/// A database thread's state and its connection.
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

    /// Runs a job and charges it to its payer.
    pub(super) fn carry_out(&mut self, job: Job) {
        let _paying = self.meter.paid_by(job.bill());

        match job {
            Job::Read(order, reply) => self.read(order, reply),
            Job::Run(order, reply) => self.run(order, reply),
            Job::Transaction(opening) => self.transaction(opening),
        }
    }

    /// True if the thread has dropped to idle priority for good. A new thread must take over.
    pub(super) fn has_stepped_back(&self) -> bool {
        self.meter.has_stepped_back()
    }

    fn read(&mut self, order: Order, reply: Reply<Option<Outcome>>) {
        if !order.ticket.begin() {
            return;
        }

        let file = self.file.clone();
        // Only blocked by a writer that folds a long journal.
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

    /// Runs steps until the transaction ends, the handle is dropped, or the lifetime is over.
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

    /// Runs a step. Returns false if the transaction has ended.
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

        // Some errors roll back the whole transaction. Later statements would commit separately.
        !guarded.connection.is_autocommit()
    }

    /// Rolls back an open transaction and reports the file's size.
    fn settle(&mut self) {
        let Some(guarded) = &mut self.open else { return };
        if !guarded.connection.is_autocommit() && guarded.own("ROLLBACK").is_err() {
            // The connection is unusable if it cannot roll back.
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

    /// Returns deleted space to the disk, within a time limit, and closes the connection.
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

//! Runs the jobs of one database thread: single statements and transactions. A transaction occupies
//! its thread until it ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::oneshot;

use super::super::limits::transaction_timeout;
use super::super::{CpuMeter, Fetch, SqlError, Statement, StatementResult};
use super::DatabaseFile;
use super::connection::{GuestConnection, Role, VACUUM_TIME};
use super::run::{ReadOutcome, StatementLimits};
use super::watchdog::CancelToken;
use crate::tenant::HostWorkMeter;

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
    /// True if the caller is gone.
    pub(super) fn is_cancelled(&self) -> bool {
        match self {
            Job::Read(order, _) | Job::Run(order, _) => order.ticket.is_cancelled(),
            Job::Transaction(opening) => opening.ticket.is_cancelled(),
        }
    }
}

/// A statement, its cancellation state, and the account that pays for it.
pub(super) struct StatementJob {
    pub(super) statement: Statement,
    pub(super) fetch: Fetch,
    /// Written by the host; may use the host's tables.
    pub(super) is_host: bool,
    pub(super) ticket: CancelToken,
    pub(super) bill: CpuMeter,
}

/// A transaction to open.
pub(super) struct TransactionJob {
    pub(super) ticket: CancelToken,
    pub(super) bill: CpuMeter,
    pub(super) lifetime: Duration,
    pub(super) steps: Receiver<Step>,
    pub(super) begun: Reply<()>,
    pub(super) end: EndReason,
}

/// One step of a transaction.
pub(super) enum Step {
    Run(StatementJob, Reply<StatementResult>),
    /// The statements of a migration.
    RunBatch(String, CancelToken, Reply<()>),
    /// A statement of the host.
    Host(&'static str, Reply<()>),
    Commit(Reply<()>),
}

/// Reason why a transaction ended early. A clone is shallow.
#[derive(Clone, Default)]
pub(super) struct EndReason(Arc<Mutex<Option<SqlError>>>);

impl EndReason {
    fn set(&self, why: SqlError) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(why);
    }

    pub(super) fn get(&self) -> SqlError {
        let noted = self.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        noted.unwrap_or_else(|| SqlError::Unavailable("the transaction has ended".into()))
    }
}

/// A database thread's state and its connection.
pub(super) struct Worker {
    file: Arc<DatabaseFile>,
    role: Role,
    meter: HostWorkMeter,
    open: Option<GuestConnection>,
}

impl Worker {
    pub(super) fn new(file: Arc<DatabaseFile>, role: Role) -> Self {
        let meter = HostWorkMeter::new(file.turns.clone(), file.share.clone());
        Worker { file, role, meter, open: None }
    }

    /// Runs a job and charges it to its payer.
    pub(super) fn run_job(&mut self, job: Job) {
        let _paying = self.meter.start_charging(job.bill());

        match job {
            Job::Read(order, reply) => self.read(order, reply),
            Job::Run(order, reply) => self.run(order, reply),
            Job::Transaction(opening) => self.transaction(opening),
        }
    }

    /// True if the thread has dropped to idle priority for good. A new thread must take over.
    pub(super) fn has_idle_priority(&self) -> bool {
        self.meter.has_idle_priority()
    }

    fn read(&mut self, order: StatementJob, reply: Reply<Option<StatementResult>>) {
        if !order.ticket.start() {
            return;
        }

        let file = self.file.clone();
        // Only blocked by a writer that folds a long journal.
        let _gate = file.log_gate.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.connection().and_then(|guarded| {
            let terms = StatementLimits {
                ticket: &order.ticket,
                allowed: file.config.statement_time,
                open_until: None,
            };
            guarded.read(&order, &file.config, &terms)
        });

        let _ = reply.send(outcome.map(|read| match read {
            ReadOutcome::Done(outcome) => Some(outcome),
            ReadOutcome::NeedsWrite => None,
        }));
    }

    fn run(&mut self, order: StatementJob, reply: Reply<StatementResult>) {
        if !order.ticket.start() {
            return;
        }

        let file = self.file.clone();
        let outcome = self.write_connection().and_then(|guarded| {
            let terms = StatementLimits {
                ticket: &order.ticket,
                allowed: file.config.statement_time,
                open_until: None,
            };
            guarded.run(&order, &file.config, &terms)
        });

        self.finish_job();

        let _ = reply.send(outcome);
    }

    fn transaction(&mut self, opening: TransactionJob) {
        let TransactionJob { ticket, lifetime, steps, begun, end, .. } = opening;
        if !ticket.start() {
            return;
        }

        let open_until = Instant::now() + lifetime;
        let outcome = self.write_connection().and_then(|guarded| {
            guarded.execute_host("BEGIN IMMEDIATE").map_err(|error| guarded.to_sql_error(&error))
        });
        let is_open = outcome.is_ok();
        let _ = begun.send(outcome);

        if is_open {
            self.run_steps(&steps, open_until, &end);
        }

        self.finish_job();
    }

    /// Runs steps until the transaction ends, the handle is dropped, or the lifetime is over.
    fn run_steps(&mut self, steps: &Receiver<Step>, open_until: Instant, end: &EndReason) {
        loop {
            match steps.recv_timeout(open_until.saturating_duration_since(Instant::now())) {
                Ok(step) => {
                    if !self.run_step(step, open_until, end) {
                        return;
                    }
                }
                Err(RecvTimeoutError::Timeout) => return end.set(transaction_timeout()),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Runs a step. Returns false if the transaction has ended.
    fn run_step(&mut self, step: Step, open_until: Instant, end: &EndReason) -> bool {
        let file = self.file.clone();
        let Ok(guarded) = self.connection() else { return false };

        let terms = |ticket| StatementLimits {
            ticket,
            allowed: file.config.statement_time,
            open_until: Some(open_until),
        };

        match step {
            Step::Run(order, reply) if order.ticket.start() => {
                let outcome = guarded.run(&order, &file.config, &terms(&order.ticket));
                end.record_rollback(guarded);
                let _ = reply.send(outcome);
            }
            Step::RunBatch(statements, ticket, reply) if ticket.start() => {
                let allowed = open_until.saturating_duration_since(Instant::now());
                let outcome =
                    guarded.run_batch(&statements, &StatementLimits { allowed, ..terms(&ticket) });
                end.record_rollback(guarded);
                let _ = reply.send(outcome);
            }
            Step::Host(statement, reply) => {
                let _ = reply.send(
                    guarded.execute_host(statement).map_err(|error| guarded.to_sql_error(&error)),
                );
            }
            Step::Commit(reply) => {
                let _ = reply.send(
                    guarded.execute_host("COMMIT").map_err(|error| guarded.to_sql_error(&error)),
                );
                return false;
            }
            Step::Run(..) | Step::RunBatch(..) => {}
        }

        // Some errors roll back the whole transaction. Later statements would commit separately.
        !guarded.connection.is_autocommit()
    }

    /// Rolls back an open transaction and reports the file's size.
    fn finish_job(&mut self) {
        let Some(guarded) = &mut self.open else { return };
        if !guarded.connection.is_autocommit() && guarded.execute_host("ROLLBACK").is_err() {
            // The connection is unusable if it cannot roll back.
            self.open = None;
            return;
        }

        self.file.record_size(guarded);
        self.file.checkpoint_log(guarded);
    }

    fn write_connection(&mut self) -> Result<&mut GuestConnection, SqlError> {
        let quota = self.file.tenant.settings().quota.database;
        let guarded = self.connection()?;

        guarded.set_quota(quota).map_err(|error| guarded.to_sql_error(&error))?;
        guarded.begin_journal();

        Ok(guarded)
    }

    fn connection(&mut self) -> Result<&mut GuestConnection, SqlError> {
        match &mut self.open {
            Some(guarded) => Ok(guarded),
            none => {
                self.file.check_log()?;

                let opened = GuestConnection::open(
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

        let mut folded = Ok(self.file.is_checkpointed());
        if self.role == Role::Write {
            if guarded.watchdog.begin(&CancelToken::default(), VACUUM_TIME, None).is_ok() {
                let _ = guarded.execute_host("PRAGMA incremental_vacuum");
            }

            guarded.watchdog.end();
            self.file.record_size(&guarded);
            folded = guarded.checkpoint();
        }

        if let Err(error) = folded.and_then(|folded| guarded.close(folded)) {
            tracing::warn!(%error, tenant = %self.file.tenant.name(), "a database was not closed well");
        }
    }
}

impl Job {
    fn bill(&self) -> &CpuMeter {
        match self {
            Job::Read(order, _) | Job::Run(order, _) => &order.bill,
            Job::Transaction(opening) => &opening.bill,
        }
    }
}

impl EndReason {
    fn record_rollback(&self, guarded: &GuestConnection) {
        if guarded.connection.is_autocommit() {
            self.set(SqlError::Unavailable(
                "an earlier error has rolled the transaction back".into(),
            ));
        }
    }
}

//! Runs the jobs of one database thread: single statements and transactions. A transaction occupies
//! its thread until it ends.

use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::sync::{Arc, PoisonError};
use std::time::Instant;

use super::super::limits::transaction_timeout;
use super::super::{SqlError, StatementResult};
use super::cancel_token::CancelToken;
use super::file::DatabaseFile;
use super::guest_connection::{Access, GuestConnection, VACUUM_TIME};
use super::job::{EndReason, Job, Reply, StatementJob, Step, TransactionJob};
use super::run::{ReadOutcome, StatementLimits};
use crate::tenant::HostWorkMeter;

/// A database thread's state and its connection.
pub(super) struct Worker {
    file: Arc<DatabaseFile>,
    access: Access,
    meter: HostWorkMeter,
    open: Option<GuestConnection>,
}

impl Worker {
    pub(super) fn new(file: Arc<DatabaseFile>, access: Access) -> Self {
        let meter = HostWorkMeter::new(file.turns.clone(), file.share.clone());
        Worker { file, access, meter, open: None }
    }

    /// Runs a job and charges it to its payer.
    pub(super) fn run_job(&mut self, job: Job) {
        let _paying = self.meter.start_charging(job.cpu_meter());

        match job {
            Job::Read(job, reply) => self.read(job, reply),
            Job::Run(job, reply) => self.run(job, reply),
            Job::Transaction(job) => self.transaction(job),
        }
    }

    /// True if the thread has dropped to idle priority for good. A new thread must take over.
    pub(super) fn has_idle_priority(&self) -> bool {
        self.meter.has_idle_priority()
    }

    fn read(&mut self, job: StatementJob, reply: Reply<Option<StatementResult>>) {
        if !job.cancel_token.start() {
            return;
        }

        let file = self.file.clone();
        // Only blocked by a writer that checkpoints a long journal.
        let _gate = file.log_gate.read().unwrap_or_else(PoisonError::into_inner);
        let outcome = self.connection().and_then(|connection| {
            let limits = StatementLimits {
                cancel_token: &job.cancel_token,
                allowed: file.config.statement_time,
                open_until: None,
            };
            connection.read(&job, &file.config, &limits)
        });

        let _ = reply.send(outcome.map(|read| match read {
            ReadOutcome::Done(outcome) => Some(outcome),
            ReadOutcome::NeedsWrite => None,
        }));
    }

    fn run(&mut self, job: StatementJob, reply: Reply<StatementResult>) {
        if !job.cancel_token.start() {
            return;
        }

        let file = self.file.clone();
        let outcome = self.write_connection().and_then(|connection| {
            let limits = StatementLimits {
                cancel_token: &job.cancel_token,
                allowed: file.config.statement_time,
                open_until: None,
            };
            connection.run(&job, &file.config, &limits)
        });

        self.finish_job();

        let _ = reply.send(outcome);
    }

    fn transaction(&mut self, job: TransactionJob) {
        let TransactionJob { cancel_token, lifetime, steps, begun, end, .. } = job;
        if !cancel_token.start() {
            return;
        }

        let open_until = Instant::now() + lifetime;
        let outcome = self.write_connection().and_then(|connection| {
            connection
                .execute_trusted("BEGIN IMMEDIATE")
                .map_err(|error| connection.to_sql_error(&error))
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
        let Ok(connection) = self.connection() else { return false };

        let limits = |cancel_token| StatementLimits {
            cancel_token,
            allowed: file.config.statement_time,
            open_until: Some(open_until),
        };

        match step {
            Step::Run(job, reply) if job.cancel_token.start() => {
                let outcome = connection.run(&job, &file.config, &limits(&job.cancel_token));
                end.record_rollback(connection);
                let _ = reply.send(outcome);
            }
            Step::RunMigration(statements, cancel_token, reply) if cancel_token.start() => {
                let allowed = open_until.saturating_duration_since(Instant::now());
                let outcome = connection.run_migration(
                    &statements,
                    &StatementLimits { allowed, ..limits(&cancel_token) },
                );
                end.record_rollback(connection);
                let _ = reply.send(outcome);
            }
            Step::ExecuteTrusted(statement, reply) => {
                let _ = reply.send(
                    connection
                        .execute_trusted(statement)
                        .map_err(|error| connection.to_sql_error(&error)),
                );
            }
            Step::Commit(reply) => {
                let _ = reply.send(
                    connection
                        .execute_trusted("COMMIT")
                        .map_err(|error| connection.to_sql_error(&error)),
                );
                return false;
            }
            Step::Run(..) | Step::RunMigration(..) => {}
        }

        // Some errors roll back the whole transaction. Later statements would commit separately.
        !connection.sqlite.is_autocommit()
    }

    /// Rolls back an open transaction and reports the file's size.
    fn finish_job(&mut self) {
        let Some(connection) = &mut self.open else { return };
        if !connection.sqlite.is_autocommit() && connection.execute_trusted("ROLLBACK").is_err() {
            // The connection is unusable if it cannot roll back.
            self.open = None;
            return;
        }

        self.file.record_size(connection);
        self.file.checkpoint_log(connection);
    }

    fn write_connection(&mut self) -> Result<&mut GuestConnection, SqlError> {
        let quota = self.file.tenant.settings().quota.database;
        let connection = self.connection()?;

        connection.set_quota(quota).map_err(|error| connection.to_sql_error(&error))?;
        connection.begin_journal();

        Ok(connection)
    }

    fn connection(&mut self) -> Result<&mut GuestConnection, SqlError> {
        match &mut self.open {
            Some(connection) => Ok(connection),
            none => {
                self.file.check_log()?;

                let opened = GuestConnection::open(
                    &self.file.path,
                    self.access,
                    &self.file.config,
                    self.meter.clone(),
                );
                Ok(none.insert(opened.map_err(|error| self.file.cannot_open(&error))?))
            }
        }
    }

    /// Returns deleted space to the disk, within a time limit, and closes the connection.
    pub(super) fn close(self) {
        let Some(mut connection) = self.open else { return };

        let mut is_checkpointed = Ok(self.file.is_checkpointed());
        if self.access == Access::Write {
            if connection.watchdog.begin(&CancelToken::default(), VACUUM_TIME, None).is_ok() {
                let _ = connection.execute_trusted("PRAGMA incremental_vacuum");
            }

            connection.watchdog.end();
            self.file.record_size(&connection);
            is_checkpointed = connection.checkpoint();
        }

        if let Err(error) =
            is_checkpointed.and_then(|is_checkpointed| connection.close(is_checkpointed))
        {
            tracing::warn!(%error, tenant = %self.file.tenant.name(), "a database was not closed well");
        }
    }
}

impl EndReason {
    fn record_rollback(&self, connection: &GuestConnection) {
        if connection.sqlite.is_autocommit() {
            self.set(SqlError::Unavailable(
                "an earlier error has rolled the transaction back".into(),
            ));
        }
    }
}

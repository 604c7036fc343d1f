//! The caller's handle of a transaction that runs on a database thread.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::super::{CpuMeter, Fetch, SqlError, Statement, StatementResult};
use super::cancel_token::CancelToken;
use super::job::{EndReason, Reply, StatementJob, Step, wait_for_reply};

/// An open transaction. Dropping it cancels a running statement and rolls back.
pub(in crate::database) struct Transaction {
    steps: Sender<Step>,
    end: EndReason,
    cpu_meter: CpuMeter,
}

impl Transaction {
    pub(super) fn new(steps: Sender<Step>, end: EndReason, cpu_meter: CpuMeter) -> Self {
        Transaction { steps, end, cpu_meter }
    }

    pub(in crate::database) async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let job = StatementJob::new(statement, fetch, &self.cpu_meter);
        self.send_step(job.cancel_token.clone(), |reply| Step::Run(job, reply)).await
    }

    /// Runs the statements of a migration.
    pub(in crate::database) async fn run_migration(
        &self,
        statements: String,
    ) -> Result<(), SqlError> {
        let cancel_token = CancelToken::default();
        self.send_step(cancel_token.clone(), |reply| {
            Step::RunMigration(statements, cancel_token, reply)
        })
        .await
    }

    /// Runs a statement of the host on the host's tables.
    pub(in crate::database) async fn run_on_host_tables(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, SqlError> {
        let job = StatementJob {
            is_host: true,
            ..StatementJob::new(statement, Fetch::Rows, &self.cpu_meter)
        };
        self.send_step(job.cancel_token.clone(), |reply| Step::Run(job, reply)).await
    }

    /// Runs a statement of the host, such as a savepoint, without the authorizer's checks.
    pub(in crate::database) async fn execute_trusted(
        &self,
        statement: &'static str,
    ) -> Result<(), SqlError> {
        self.send_step(CancelToken::default(), |reply| Step::ExecuteTrusted(statement, reply)).await
    }

    /// Commits.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        self.send_step(CancelToken::default(), Step::Commit).await
    }

    async fn send_step<T>(
        &self,
        cancel_token: CancelToken,
        step: impl FnOnce(Reply<T>) -> Step,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.steps.send(step(reply)).map_err(|_| self.end.get())?;
        // The reply is lost if the thread ended the transaction before this step.
        wait_for_reply(cancel_token, answer, None).await.unwrap_or_else(|| Err(self.end.get()))
    }
}

//! The caller's handle of a transaction that runs on a database thread.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::super::{CpuMeter, Fetch, SqlError, Statement, StatementResult};
use super::wait_for_reply;
use super::watchdog::CancelToken;
use super::worker::{EndReason, Reply, StatementJob, Step};

/// An open transaction. Dropping it cancels a running statement and rolls back.
pub(in crate::database) struct Transaction {
    steps: Sender<Step>,
    end: EndReason,
    bill: CpuMeter,
}

impl Transaction {
    pub(super) fn new(steps: Sender<Step>, end: EndReason, bill: CpuMeter) -> Self {
        Transaction { steps, end, bill }
    }

    pub(in crate::database) async fn run(
        &self,
        statement: Statement,
        wanted: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let order = StatementJob::new(statement, wanted, &self.bill);
        self.send_step(order.ticket.clone(), |reply| Step::Run(order, reply)).await
    }

    /// Runs the statements of a migration.
    pub(in crate::database) async fn run_batch(&self, statements: String) -> Result<(), SqlError> {
        let ticket = CancelToken::default();
        self.send_step(ticket.clone(), |reply| Step::RunBatch(statements, ticket, reply)).await
    }

    /// Runs a statement of the host on the host's tables.
    pub(in crate::database) async fn run_on_host_tables(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, SqlError> {
        let order =
            StatementJob { is_host: true, ..StatementJob::new(statement, Fetch::Rows, &self.bill) };
        self.send_step(order.ticket.clone(), |reply| Step::Run(order, reply)).await
    }

    /// Runs a statement of the host, such as a savepoint.
    pub(in crate::database) async fn execute_host(
        &self,
        statement: &'static str,
    ) -> Result<(), SqlError> {
        self.send_step(CancelToken::default(), |reply| Step::Host(statement, reply)).await
    }

    /// Commits.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        self.send_step(CancelToken::default(), Step::Commit).await
    }

    async fn send_step<T>(
        &self,
        ticket: CancelToken,
        step: impl FnOnce(Reply<T>) -> Step,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.steps.send(step(reply)).map_err(|_| self.end.get())?;
        // The reply is lost if the thread ended the transaction before this step.
        wait_for_reply(ticket, answer, None).await.unwrap_or_else(|| Err(self.end.get()))
    }
}

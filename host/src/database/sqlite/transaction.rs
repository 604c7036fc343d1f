//! The caller's handle of a transaction that runs on a database thread.

use std::sync::mpsc::Sender;

use tokio::sync::oneshot;

use super::super::{Bill, Outcome, SqlError, Statement, Wanted};
use super::answered;
use super::watch::Ticket;
use super::worker::{End, Order, Reply, Step};

/// An open transaction. Dropping it cancels a running statement and rolls back.
pub(in crate::database) struct Transaction {
    steps: Sender<Step>,
    end: End,
    bill: Bill,
}

impl Transaction {
    pub(super) fn new(steps: Sender<Step>, end: End, bill: Bill) -> Self {
        Transaction { steps, end, bill }
    }

    pub(in crate::database) async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        let order = Order::new(statement, wanted, &self.bill);
        self.take(order.ticket.clone(), |reply| Step::Run(order, reply)).await
    }

    /// Runs the statements of a migration.
    pub(in crate::database) async fn run_all(&self, statements: String) -> Result<(), SqlError> {
        let ticket = Ticket::default();
        self.take(ticket.clone(), |reply| Step::RunAll(statements, ticket, reply)).await
    }

    /// Runs a statement of the host on the host's tables.
    pub(in crate::database) async fn on_own_tables(
        &self,
        statement: Statement,
    ) -> Result<Outcome, SqlError> {
        let order = Order { own: true, ..Order::new(statement, Wanted::Rows, &self.bill) };
        self.take(order.ticket.clone(), |reply| Step::Run(order, reply)).await
    }

    /// Runs a statement of the host, such as a savepoint.
    pub(in crate::database) async fn own(&self, statement: &'static str) -> Result<(), SqlError> {
        self.take(Ticket::default(), |reply| Step::Own(statement, reply)).await
    }

    /// Commits.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        self.take(Ticket::default(), Step::Commit).await
    }

    async fn take<T>(
        &self,
        ticket: Ticket,
        step: impl FnOnce(Reply<T>) -> Step,
    ) -> Result<T, SqlError> {
        let (reply, answer) = oneshot::channel();
        self.steps.send(step(reply)).map_err(|_| self.end.why())?;
        // The reply is lost if the thread ended the transaction before this step.
        answered(ticket, answer, None).await.unwrap_or_else(|| Err(self.end.why()))
    }
}

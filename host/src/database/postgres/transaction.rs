//! A transaction on a connection of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::limits::open_too_long;
use super::super::{DatabaseConfig, Outcome, SqlError, Statement, Wanted};
use super::pool::Lease;
use super::{run, words};

/// An open transaction. Dropping it closes the connection, and the server rolls back.
pub(in crate::database) struct Transaction {
    lease: Lease,
    config: DatabaseConfig,
    open_until: Instant,
    over: AtomicBool,
}

impl Transaction {
    pub(super) async fn begin(
        lease: Lease,
        lifetime: Duration,
        config: DatabaseConfig,
    ) -> Result<Transaction, SqlError> {
        // The server ends the transaction by itself if the host does not return to it.
        let begin = format!(
            "BEGIN; SET LOCAL idle_in_transaction_session_timeout = {}",
            lifetime.as_millis()
        );
        run::own(lease.client(), &begin).await?;
        Ok(Transaction {
            lease,
            config,
            open_until: Instant::now() + lifetime,
            over: AtomicBool::new(false),
        })
    }

    pub(in crate::database) async fn run(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        words::check(&statement.text)?;
        self.on_own_tables(statement, wanted).await
    }

    /// Runs a statement of the host.
    pub(in crate::database) async fn on_own_tables(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        let client = self.lease.client();
        // An error would abort the whole transaction, so the statement gets a savepoint.
        self.within(run::own(client, "SAVEPOINT wardian_statement")).await?;

        let outcome = self.within(run::run(client, &statement, wanted, &self.config)).await;
        match &outcome {
            Ok(_) => self.own("RELEASE SAVEPOINT wardian_statement").await?,
            // The remaining rows would have to be read before the rollback. The transaction is
            // given up instead.
            Err(SqlError::Limit(_) | SqlError::Unavailable(_)) => {
                self.over.store(true, Ordering::Relaxed)
            }
            Err(_) => self.own("ROLLBACK TO SAVEPOINT wardian_statement").await?,
        }

        outcome
    }

    /// Runs the statements of a migration.
    pub(in crate::database) async fn run_all(&self, statements: &str) -> Result<(), SqlError> {
        words::check_all(statements)?;
        self.own("SAVEPOINT wardian_statement").await?;
        self.own(statements).await?;
        // Fails if a statement of the migration has ended the transaction.
        self.own("RELEASE SAVEPOINT wardian_statement").await
    }

    pub(in crate::database) async fn own(&self, statements: &str) -> Result<(), SqlError> {
        self.within(run::own(self.lease.client(), statements)).await
    }

    /// Commits.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        let outcome = self.own("COMMIT").await;
        self.lease.settle(&outcome);
        outcome
    }

    /// Runs work within the lifetime of the transaction.
    async fn within<T>(
        &self,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        if self.over.load(Ordering::Relaxed) {
            return Err(SqlError::Unavailable(
                "an earlier error has rolled the transaction back".into(),
            ));
        }

        let outcome = tokio::time::timeout_at(self.open_until.into(), work).await;
        // The server closes the connection of a transaction that was idle for too long.
        let is_late = matches!(outcome, Err(_) | Ok(Err(SqlError::Unavailable(_))))
            && Instant::now() >= self.open_until;

        if is_late {
            self.over.store(true, Ordering::Relaxed);
            return Err(open_too_long());
        }

        outcome.unwrap_or_else(|_elapsed| Err(open_too_long()))
    }
}

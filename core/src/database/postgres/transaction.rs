//! A transaction on a connection of its own.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::limits::transaction_timeout;
use super::super::{DatabaseConfig, Fetch, SqlError, Statement, StatementResult};
use super::pool::Lease;
use super::{run, statement_allowlist};

/// An open transaction. Dropping it closes the connection, and the server rolls back.
pub(in crate::database) struct Transaction {
    lease: Lease,
    config: DatabaseConfig,
    open_until: Instant,
    ended: AtomicBool,
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
        run::execute_trusted(lease.client(), &begin).await?;
        Ok(Transaction {
            lease,
            config,
            open_until: Instant::now() + lifetime,
            ended: AtomicBool::new(false),
        })
    }

    pub(in crate::database) async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        statement_allowlist::check(&statement.text)?;
        self.run_in_savepoint(statement, fetch).await
    }

    /// Runs a statement of the host on the host's tables, without the allowlist.
    pub(in crate::database) async fn run_on_host_tables(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, SqlError> {
        self.run_in_savepoint(statement, Fetch::Rows).await
    }

    /// Runs a statement in a savepoint, because an error would abort the whole transaction.
    async fn run_in_savepoint(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let client = self.lease.client();
        self.with_deadline(run::execute_trusted(client, "SAVEPOINT wardian_statement")).await?;

        let outcome = self.with_deadline(run::run(client, &statement, fetch, &self.config)).await;
        match &outcome {
            Ok(_) => self.execute_trusted("RELEASE SAVEPOINT wardian_statement").await?,
            // The remaining rows would have to be read before the rollback. The transaction is
            // given up instead.
            Err(SqlError::Limit(_) | SqlError::Unavailable(_)) => {
                self.ended.store(true, Ordering::Relaxed)
            }
            Err(_) => self.execute_trusted("ROLLBACK TO SAVEPOINT wardian_statement").await?,
        }

        outcome
    }

    /// Runs the statements of a migration.
    pub(in crate::database) async fn run_migration(
        &self,
        statements: &str,
    ) -> Result<(), SqlError> {
        statement_allowlist::check_all(statements)?;
        self.execute_trusted("SAVEPOINT wardian_statement").await?;
        self.execute_trusted(statements).await?;
        // Fails if a statement of the migration has ended the transaction.
        self.execute_trusted("RELEASE SAVEPOINT wardian_statement").await
    }

    /// Runs statements of the host, without the allowlist.
    pub(in crate::database) async fn execute_trusted(
        &self,
        statements: &str,
    ) -> Result<(), SqlError> {
        self.with_deadline(run::execute_trusted(self.lease.client(), statements)).await
    }

    /// Commits.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        let outcome = self.execute_trusted("COMMIT").await;
        self.lease.release(&outcome);
        outcome
    }

    /// Runs work within the lifetime of the transaction.
    async fn with_deadline<T>(
        &self,
        work: impl Future<Output = Result<T, SqlError>>,
    ) -> Result<T, SqlError> {
        if self.ended.load(Ordering::Relaxed) {
            return Err(SqlError::Unavailable(
                "an earlier error has rolled the transaction back".into(),
            ));
        }

        let outcome = tokio::time::timeout_at(self.open_until.into(), work).await;
        // The server closes the connection of a transaction that was idle for too long.
        let is_late = matches!(outcome, Err(_) | Ok(Err(SqlError::Unavailable(_))))
            && Instant::now() >= self.open_until;

        if is_late {
            self.ended.store(true, Ordering::Relaxed);
            return Err(transaction_timeout());
        }

        outcome.unwrap_or_else(|_elapsed| Err(transaction_timeout()))
    }
}

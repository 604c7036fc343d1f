//! A transaction on a connection that nobody else has until it ends.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use super::super::limits::open_too_long;
use super::super::{DatabaseConfig, Outcome, SqlError, Statement, Wanted};
use super::pool::Lease;
use super::{run, words};

/// An open transaction. Dropped, its connection is closed, and the server rolls it back.
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
        // The server ends it by itself if this host does not come back to it.
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

    /// Runs a statement that no guest has written.
    pub(in crate::database) async fn on_own_tables(
        &self,
        statement: Statement,
        wanted: Wanted,
    ) -> Result<Outcome, SqlError> {
        let client = self.lease.client();
        // An error would take back everything; so it takes back this statement alone.
        self.within(run::own(client, "SAVEPOINT wardian_statement")).await?;
        let outcome = self.within(run::run(client, &statement, wanted, &self.config)).await;
        match &outcome {
            Ok(_) => self.own("RELEASE SAVEPOINT wardian_statement").await?,
            // Rows that are left unread are read before anything else; it is not worth waiting for
            // them.
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
        // It is gone if a statement has ended the transaction.
        self.own("RELEASE SAVEPOINT wardian_statement").await
    }

    pub(in crate::database) async fn own(&self, statements: &str) -> Result<(), SqlError> {
        self.within(run::own(self.lease.client(), statements)).await
    }

    /// Keeps what was done.
    pub(in crate::database) async fn commit(self) -> Result<(), SqlError> {
        let outcome = self.own("COMMIT").await;
        self.lease.settle(&outcome);
        outcome
    }

    /// Does something before the transaction's time is over.
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
        // The server ends what has been idle for as long, and its connection with it.
        let is_late = matches!(outcome, Err(_) | Ok(Err(SqlError::Unavailable(_))))
            && Instant::now() >= self.open_until;
        if is_late {
            self.over.store(true, Ordering::Relaxed);
            return Err(open_too_long());
        }
        outcome.unwrap_or_else(|_elapsed| Err(open_too_long()))
    }
}

//! A transaction, independent of the backend.

use std::sync::Arc;

use super::{Database, Fetch, SqlError, Statement, StatementResult, postgres, sqlite};

/// An open transaction. Dropping it cancels a running statement and rolls back.
pub struct Transaction {
    database: Arc<Database>,
    backend: Backend,
}

enum Backend {
    Sqlite(sqlite::Transaction),
    Postgres(Box<postgres::Transaction>),
}

/// A savepoint within a transaction.
#[derive(Clone, Copy, Debug)]
pub(super) enum Savepoint {
    /// Start of a version's validation.
    Validation,
    /// Start of a transaction within the validation.
    Nested,
}

impl Transaction {
    pub(super) fn from_sqlite(database: Arc<Database>, transaction: sqlite::Transaction) -> Self {
        Transaction { database, backend: Backend::Sqlite(transaction) }
    }

    pub(super) fn from_postgres(
        database: Arc<Database>,
        transaction: postgres::Transaction,
    ) -> Self {
        Transaction { database, backend: Backend::Postgres(Box::new(transaction)) }
    }

    /// Runs one statement. Fails once an error has rolled back the transaction, or once its
    /// lifetime is over.
    pub async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let work = async {
            statement.check()?;

            match &self.backend {
                Backend::Sqlite(transaction) => transaction.run(statement, fetch).await,
                Backend::Postgres(transaction) => transaction.run(statement, fetch).await,
            }
        };
        self.database.tenant_metrics.observe(work).await
    }

    /// Commits. Nothing is kept if it fails.
    pub async fn commit(self) -> Result<(), SqlError> {
        match self.backend {
            Backend::Sqlite(transaction) => transaction.commit().await,
            Backend::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Runs the statements of a migration.
    pub(super) async fn run_migration(&self, statements: &str) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.run_migration(statements.to_owned()).await,
            Backend::Postgres(transaction) => transaction.run_migration(statements).await,
        }
    }

    /// Runs a statement on the host's tables.
    pub(super) async fn run_on_host_tables(
        &self,
        statement: Statement,
    ) -> Result<StatementResult, SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.run_on_host_tables(statement).await,
            Backend::Postgres(transaction) => transaction.run_on_host_tables(statement).await,
        }
    }

    pub(super) async fn set_savepoint(&self, point: Savepoint) -> Result<(), SqlError> {
        self.execute_trusted(point.set_statement()).await
    }

    pub(super) async fn release_savepoint(&self, point: Savepoint) -> Result<(), SqlError> {
        self.execute_trusted(point.release_statement()).await
    }

    pub(super) async fn rollback_to(&self, point: Savepoint) -> Result<(), SqlError> {
        self.execute_trusted(point.rollback_statement()).await?;
        self.execute_trusted(point.release_statement()).await
    }

    /// Blocks concurrent migrations of the same database. A SQLite file has only one writer in any
    /// case.
    pub(super) async fn lock_migrations(&self) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(transaction) => {
                transaction
                    .execute_trusted("SELECT pg_advisory_xact_lock(hashtext('wardian_migrations'))")
                    .await
            }
        }
    }

    /// Runs a statement of the host, without the checks of guests' statements.
    async fn execute_trusted(&self, statement: &'static str) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.execute_trusted(statement).await,
            Backend::Postgres(transaction) => transaction.execute_trusted(statement).await,
        }
    }
}

impl Savepoint {
    fn set_statement(self) -> &'static str {
        match self {
            Savepoint::Validation => "SAVEPOINT wardian_validation",
            Savepoint::Nested => "SAVEPOINT wardian_nested",
        }
    }

    fn release_statement(self) -> &'static str {
        match self {
            Savepoint::Validation => "RELEASE SAVEPOINT wardian_validation",
            Savepoint::Nested => "RELEASE SAVEPOINT wardian_nested",
        }
    }

    fn rollback_statement(self) -> &'static str {
        match self {
            Savepoint::Validation => "ROLLBACK TO SAVEPOINT wardian_validation",
            Savepoint::Nested => "ROLLBACK TO SAVEPOINT wardian_nested",
        }
    }
}

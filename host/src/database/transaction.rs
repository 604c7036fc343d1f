//! A transaction, independent of the backend.

use std::sync::Arc;

use super::{Database, Outcome, SqlError, Statement, Wanted, postgres, sqlite};

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
pub(super) enum Point {
    /// Start of a version's validation.
    Proof,
    /// Start of a transaction within the validation.
    Nested,
}

impl Transaction {
    pub(super) fn of_sqlite(database: Arc<Database>, transaction: sqlite::Transaction) -> Self {
        Transaction { database, backend: Backend::Sqlite(transaction) }
    }

    pub(super) fn of_postgres(database: Arc<Database>, transaction: postgres::Transaction) -> Self {
        Transaction { database, backend: Backend::Postgres(Box::new(transaction)) }
    }

    /// Runs one statement. Fails once an error has rolled back the transaction, or once its
    /// lifetime is over.
    pub async fn run(&self, statement: Statement, wanted: Wanted) -> Result<Outcome, SqlError> {
        let work = async {
            statement.check()?;

            match &self.backend {
                Backend::Sqlite(transaction) => transaction.run(statement, wanted).await,
                Backend::Postgres(transaction) => transaction.run(statement, wanted).await,
            }
        };
        self.database.counts.count(work).await
    }

    /// Commits. Nothing is kept if it fails.
    pub async fn commit(self) -> Result<(), SqlError> {
        match self.backend {
            Backend::Sqlite(transaction) => transaction.commit().await,
            Backend::Postgres(transaction) => transaction.commit().await,
        }
    }

    /// Runs the statements of a migration.
    pub(super) async fn run_all(&self, statements: &str) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.run_all(statements.to_owned()).await,
            Backend::Postgres(transaction) => transaction.run_all(statements).await,
        }
    }

    /// Runs a statement on the host's tables.
    pub(super) async fn on_own_tables(&self, statement: Statement) -> Result<Outcome, SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.on_own_tables(statement).await,
            Backend::Postgres(transaction) => {
                transaction.on_own_tables(statement, Wanted::Rows).await
            }
        }
    }

    pub(super) async fn mark(&self, point: Point) -> Result<(), SqlError> {
        self.own(point.mark()).await
    }

    pub(super) async fn keep(&self, point: Point) -> Result<(), SqlError> {
        self.own(point.keep()).await
    }

    pub(super) async fn go_back(&self, point: Point) -> Result<(), SqlError> {
        self.own(point.go_back()).await?;
        self.own(point.keep()).await
    }

    /// Blocks concurrent migrations of the same database. A SQLite file has only one writer in any
    /// case.
    pub(super) async fn lock_migrations(&self) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(_) => Ok(()),
            Backend::Postgres(transaction) => {
                transaction
                    .own("SELECT pg_advisory_xact_lock(hashtext('wardian_migrations'))")
                    .await
            }
        }
    }

    async fn own(&self, statement: &'static str) -> Result<(), SqlError> {
        match &self.backend {
            Backend::Sqlite(transaction) => transaction.own(statement).await,
            Backend::Postgres(transaction) => transaction.own(statement).await,
        }
    }
}

impl Point {
    fn mark(self) -> &'static str {
        match self {
            Point::Proof => "SAVEPOINT wardian_proof",
            Point::Nested => "SAVEPOINT wardian_nested",
        }
    }

    fn keep(self) -> &'static str {
        match self {
            Point::Proof => "RELEASE SAVEPOINT wardian_proof",
            Point::Nested => "RELEASE SAVEPOINT wardian_nested",
        }
    }

    fn go_back(self) -> &'static str {
        match self {
            Point::Proof => "ROLLBACK TO SAVEPOINT wardian_proof",
            Point::Nested => "ROLLBACK TO SAVEPOINT wardian_nested",
        }
    }
}

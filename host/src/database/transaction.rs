//! Several statements that happen together or not at all.

use std::sync::Arc;

use super::{Database, Outcome, SqlError, Statement, Wanted, postgres, sqlite};

/// An open transaction. Dropped, it is rolled back, and a statement that is under way is stopped.
pub struct Transaction {
    database: Arc<Database>,
    backend: Backend,
}

enum Backend {
    Sqlite(sqlite::Transaction),
    Postgres(Box<postgres::Transaction>),
}

/// A point within a transaction, to which it can go back.
#[derive(Clone, Copy, Debug)]
pub(super) enum Point {
    /// Where the proof of a version begins.
    Proof,
    /// Where a transaction within that proof begins.
    Nested,
}

impl Transaction {
    pub(super) fn of_sqlite(database: Arc<Database>, transaction: sqlite::Transaction) -> Self {
        Transaction { database, backend: Backend::Sqlite(transaction) }
    }

    pub(super) fn of_postgres(database: Arc<Database>, transaction: postgres::Transaction) -> Self {
        Transaction { database, backend: Backend::Postgres(Box::new(transaction)) }
    }

    /// Carries out one statement. After an error that has rolled back the whole transaction, or
    /// once its time is over, every further one fails.
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

    /// Keeps what was done. Fails if nothing of it is kept.
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

    /// Runs a statement on the host's own tables.
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

    /// Keeps others who would migrate the same database waiting. A file has one writer in any case.
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

//! The transaction in which a version is validated before it is published.
//!
//! The transaction starts with the version's migrations or, if there are none to run, with the
//! first statement of the validation. So a version that does not use its database blocks no writer.
//! The writes of the validation are rolled back.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::limits::VALIDATION_TIME;
use super::transaction::Savepoint;
use super::{
    CpuMeter, Database, Fetch, Migration, SqlError, Statement, StatementResult, Transaction,
    migrations,
};

/// The transaction of a version's validation. Dropping it rolls it back.
pub struct ValidationTransaction {
    database: Arc<Database>,
    model: String,
    // The calls of one validation are sequential. Requests never wait for this lock.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    transaction: Option<Transaction>,
    /// Migrations have run and must be committed.
    migrated: bool,
    /// A call has an open transaction within this one.
    nested: bool,
    /// The nested transaction was dropped and must be rolled back before the next statement.
    dropped: bool,
    /// The validation has passed or failed.
    finished: bool,
}

/// A transaction of a call within the validation. Dropping it rolls it back.
pub struct NestedTransaction {
    validation: Arc<ValidationTransaction>,
    open: bool,
}

impl ValidationTransaction {
    /// Creates the validation of a version. It has no open transaction yet.
    pub fn new(database: Arc<Database>, model: String) -> Arc<ValidationTransaction> {
        Arc::new(ValidationTransaction { database, model, state: Mutex::default() })
    }

    /// Runs the model's migrations that have not run before. Fails, and changes nothing, if one of
    /// them fails or if the statements of an applied one have changed.
    pub async fn migrate(&self, migrations: &[Migration]) -> Result<(), SqlError> {
        let pending = migrations::pending(&self.database, &self.model, migrations).await?;
        if pending == 0 {
            return Ok(());
        }

        let mut state = self.state.lock().await;
        let transaction = self.begin().await?;

        migrations::run(&transaction, &self.model, migrations).await?;
        transaction.set_savepoint(Savepoint::Validation).await?;
        (state.transaction, state.migrated) = (Some(transaction), true);

        Ok(())
    }

    /// Runs one statement of the validation.
    pub async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        let mut state = self.state.lock().await;
        self.transaction(&mut state).await?.run(statement, fetch).await
    }

    /// Opens a transaction within the validation. Fails with `Busy` if one is open.
    pub async fn nested(self: &Arc<Self>) -> Result<NestedTransaction, SqlError> {
        let mut state = self.state.lock().await;
        if state.nested {
            return Err(SqlError::Busy);
        }

        self.transaction(&mut state).await?.set_savepoint(Savepoint::Nested).await?;
        state.nested = true;

        Ok(NestedTransaction { validation: self.clone(), open: true })
    }

    /// Rolls back the writes of the validation and commits the migrations.
    pub async fn commit(&self) -> Result<(), SqlError> {
        let state = std::mem::take(&mut *self.state.lock().await);
        match state.transaction {
            Some(transaction) if state.migrated => {
                transaction.rollback_to(Savepoint::Validation).await?;
                transaction.commit().await
            }
            _ => Ok(()),
        }
    }

    /// Ends the validation. If there are no migrations to commit later, the transaction is rolled
    /// back now, so that other writers can continue.
    pub async fn finish(&self, went_well: bool) {
        let mut state = self.state.lock().await;
        state.finished = true;

        if !went_well || !state.migrated {
            state.transaction = None;
        }
    }

    async fn transaction<'a>(&self, state: &'a mut State) -> Result<&'a Transaction, SqlError> {
        if state.finished {
            return Err(SqlError::Unavailable("the validation of the version has ended".into()));
        }

        let dropped = std::mem::take(&mut state.dropped);
        match &mut state.transaction {
            Some(transaction) => {
                if dropped {
                    transaction.rollback_to(Savepoint::Nested).await?;
                }
                Ok(transaction)
            }
            none => Ok(none.insert(self.begin().await?)),
        }
    }

    async fn begin(&self) -> Result<Transaction, SqlError> {
        // Another version may be in validation for as long as that may take.
        self.database.open(VALIDATION_TIME, VALIDATION_TIME * 2, &CpuMeter::default()).await
    }
}

impl NestedTransaction {
    /// Runs one statement.
    pub async fn run(
        &self,
        statement: Statement,
        fetch: Fetch,
    ) -> Result<StatementResult, SqlError> {
        self.validation.run(statement, fetch).await
    }

    /// Keeps the changes until the end of the validation.
    pub async fn commit(mut self) -> Result<(), SqlError> {
        let mut state = self.validation.state.lock().await;
        (self.open, state.nested) = (false, false);

        match &state.transaction {
            Some(transaction) => transaction.release_savepoint(Savepoint::Nested).await,
            None => Err(SqlError::Unavailable("the validation of the version has ended".into())),
        }
    }
}

impl Drop for NestedTransaction {
    fn drop(&mut self) {
        // The lock is held only during a call of this transaction, and there is none any more.
        if let (true, Ok(mut state)) = (self.open, self.validation.state.try_lock()) {
            (state.nested, state.dropped) = (false, true);
        }
    }
}

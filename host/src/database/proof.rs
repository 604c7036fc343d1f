//! The transaction in which a version is validated before it is published.
//!
//! The transaction starts with the version's migrations or, if there are none to run, with the
//! first statement of the validation. So a version that does not use its database blocks no writer.
//! The writes of the validation are rolled back.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::limits::PROOF_TIME;
use super::transaction::Point;
use super::{
    Bill, Database, Migration, Outcome, SqlError, Statement, Transaction, Wanted, migrations,
};

/// The transaction of a version's validation. Dropping it rolls it back.
pub struct Proof {
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
    over: bool,
}

/// A transaction of a call within the validation. Dropping it rolls it back.
pub struct Nested {
    proof: Arc<Proof>,
    open: bool,
}

impl Proof {
    /// Creates the validation of a version. It has no open transaction yet.
    pub fn new(database: Arc<Database>, model: String) -> Arc<Proof> {
        Arc::new(Proof { database, model, state: Mutex::default() })
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
        transaction.mark(Point::Proof).await?;
        (state.transaction, state.migrated) = (Some(transaction), true);

        Ok(())
    }

    /// Runs one statement of the validation.
    pub async fn run(&self, statement: Statement, wanted: Wanted) -> Result<Outcome, SqlError> {
        let mut state = self.state.lock().await;
        self.transaction(&mut state).await?.run(statement, wanted).await
    }

    /// Opens a transaction within the validation. Fails with `Busy` if one is open.
    pub async fn nested(self: &Arc<Self>) -> Result<Nested, SqlError> {
        let mut state = self.state.lock().await;
        if state.nested {
            return Err(SqlError::Busy);
        }

        self.transaction(&mut state).await?.mark(Point::Nested).await?;
        state.nested = true;

        Ok(Nested { proof: self.clone(), open: true })
    }

    /// Rolls back the writes of the validation and commits the migrations.
    pub async fn commit(&self) -> Result<(), SqlError> {
        let state = std::mem::take(&mut *self.state.lock().await);
        match state.transaction {
            Some(transaction) if state.migrated => {
                transaction.go_back(Point::Proof).await?;
                transaction.commit().await
            }
            _ => Ok(()),
        }
    }

    /// Ends the validation. If there are no migrations to commit later, the transaction is rolled
    /// back now, so that other writers can continue.
    pub async fn leave(&self, went_well: bool) {
        let mut state = self.state.lock().await;
        state.over = true;

        if !went_well || !state.migrated {
            state.transaction = None;
        }
    }

    async fn transaction<'a>(&self, state: &'a mut State) -> Result<&'a Transaction, SqlError> {
        if state.over {
            return Err(SqlError::Unavailable("the version was proved already".into()));
        }

        let dropped = std::mem::take(&mut state.dropped);
        match &mut state.transaction {
            Some(transaction) => {
                if dropped {
                    transaction.go_back(Point::Nested).await?;
                }
                Ok(transaction)
            }
            none => Ok(none.insert(self.begin().await?)),
        }
    }

    async fn begin(&self) -> Result<Transaction, SqlError> {
        // Another version may be in validation for as long as that may take.
        self.database.open(PROOF_TIME, PROOF_TIME * 2, &Bill::default()).await
    }
}

impl Nested {
    /// Runs one statement.
    pub async fn run(&self, statement: Statement, wanted: Wanted) -> Result<Outcome, SqlError> {
        self.proof.run(statement, wanted).await
    }

    /// Keeps the changes until the end of the validation.
    pub async fn commit(mut self) -> Result<(), SqlError> {
        let mut state = self.proof.state.lock().await;
        (self.open, state.nested) = (false, false);

        match &state.transaction {
            Some(transaction) => transaction.keep(Point::Nested).await,
            None => Err(SqlError::Unavailable("the proof has ended".into())),
        }
    }
}

impl Drop for Nested {
    fn drop(&mut self) {
        // The lock is held only during a call of this transaction, and there is none any more.
        if let (true, Ok(mut state)) = (self.open, self.proof.state.try_lock()) {
            (state.nested, state.dropped) = (false, true);
        }
    }
}

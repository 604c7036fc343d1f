//! The transaction in which a version shows that it works, before it goes live.
//!
//! It begins with the version's migrations, or with the first statement of the proof if there are
//! none to run, so that a version which asks nothing of its database keeps nobody waiting. What the
//! proof itself writes is undone.

use std::sync::Arc;

use tokio::sync::Mutex;

use super::limits::PROOF_TIME;
use super::transaction::Point;
use super::{
    Bill, Database, Migration, Outcome, SqlError, Statement, Transaction, Wanted, migrations,
};

/// The transaction in which a version shows that it works. Dropped, it is rolled back.
pub struct Proof {
    database: Arc<Database>,
    model: String,
    // Its calls come one after another; what waits here is a proof and never a request.
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    transaction: Option<Transaction>,
    /// Migrations have run in it, and are to be kept.
    migrated: bool,
    /// A call has a transaction of its own within it.
    nested: bool,
    /// That call has dropped it; it is undone before anything else is done.
    dropped: bool,
    /// The version has been proved, or it has failed.
    over: bool,
}

/// A transaction of a call within a proof. Dropped, it is undone.
pub struct Nested {
    proof: Arc<Proof>,
    open: bool,
}

impl Proof {
    /// A proof of a version of that model, in which nothing has happened yet.
    pub fn new(database: Arc<Database>, model: String) -> Arc<Proof> {
        Arc::new(Proof { database, model, state: Mutex::default() })
    }

    /// Runs those of a model's migrations that have not run before. Fails, with nothing done, if
    /// one of them does, or if the text of one that has run before has changed.
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

    /// Carries out one statement of the proof.
    pub async fn run(&self, statement: Statement, wanted: Wanted) -> Result<Outcome, SqlError> {
        let mut state = self.state.lock().await;
        self.transaction(&mut state).await?.run(statement, wanted).await
    }

    /// Begins a transaction within the proof.
    pub async fn nested(self: &Arc<Self>) -> Result<Nested, SqlError> {
        let mut state = self.state.lock().await;
        if state.nested {
            return Err(SqlError::Busy);
        }
        self.transaction(&mut state).await?.mark(Point::Nested).await?;
        state.nested = true;
        Ok(Nested { proof: self.clone(), open: true })
    }

    /// Undoes what the proof itself has written, and keeps the migrations.
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

    /// Notes that the proof is over, and how it went. Where there is nothing to be kept later,
    /// everything is undone now, so that nobody has to wait any more.
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
        // Another proof may be under way, and may take its time.
        self.database.open(PROOF_TIME, PROOF_TIME * 2, &Bill::default()).await
    }
}

impl Nested {
    /// Carries out one statement.
    pub async fn run(&self, statement: Statement, wanted: Wanted) -> Result<Outcome, SqlError> {
        self.proof.run(statement, wanted).await
    }

    /// Keeps what was done, for as long as the proof lasts.
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
        // Only ever locked for a moment by a call of its own, which is not there any more.
        if let (true, Ok(mut state)) = (self.open, self.proof.state.try_lock()) {
            (state.nested, state.dropped) = (false, true);
        }
    }
}

//! How much a statement may take, whatever the database.

use std::time::Duration;

use super::{Outcome, SqlError, Statement, Value};

/// What an operator may choose of every tenant's database.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Whether an answered write outlives a power cut, or only a crash of the program.
    pub synchronous: Synchronous,
    /// How long one statement may take.
    pub statement_time: Duration,
    /// How long a transaction may stay open; it keeps the tenant's other writers waiting.
    pub transaction_time: Duration,
    /// How long to wait for others.
    pub busy_timeout: Duration,
    /// The most rows a query may find.
    pub rows: u32,
    /// The most bytes a query may find.
    pub result: u64,
}

/// When a commit is written through to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Synchronous {
    /// At once, before it is answered.
    Full,
    /// With the next checkpoint: a power cut may take the last commits away, and never damages the
    /// file.
    Normal,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig {
            // Whoever was told that a note is kept expects to find it after a power cut.
            synchronous: Synchronous::Full,
            // As long as a request may take unless its model says otherwise.
            statement_time: Duration::from_secs(5),
            transaction_time: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            // A model has the answer in its memory; whoever wants more asks in parts.
            rows: 10_000,
            result: 8 << 20,
        }
    }
}

/// Bytes of one statement's text: far more than anybody writes by hand, or a generator for a
/// thousand parameters.
pub(super) const STATEMENT: usize = 64 << 10;

/// Parameters of one statement.
pub(super) const PARAMETERS: usize = 1000;

/// Bytes of one value and of one row. Functions that search a text within another take time in the
/// product of their lengths and cannot be interrupted.
pub(super) const VALUE: usize = 1 << 20;

/// How long migrations and the proof of their version may keep other writers waiting, all together.
pub(super) const PROOF_TIME: Duration = Duration::from_secs(30);

impl Statement {
    /// Checks what can be checked before anybody looks at it.
    pub(super) fn check(&self) -> Result<(), SqlError> {
        if self.text.len() > STATEMENT {
            return Err(SqlError::Limit(format!("the statement has more than {STATEMENT} bytes")));
        }
        if self.parameters.len() > PARAMETERS {
            return Err(SqlError::Limit(format!(
                "the statement has more than {PARAMETERS} parameters"
            )));
        }
        match self.parameters.iter().find(|value| value.size() > VALUE as u64) {
            Some(_) => Err(SqlError::Limit(format!("a parameter has more than {VALUE} bytes"))),
            None => Ok(()),
        }
    }
}

/// Rows that are being collected, up to a limit.
pub(super) struct Collected<'a> {
    config: &'a DatabaseConfig,
    outcome: Outcome,
    size: u64,
}

impl<'a> Collected<'a> {
    pub(super) fn new(config: &'a DatabaseConfig, columns: Vec<String>) -> Self {
        let size = columns.iter().map(|column| column.len() as u64).sum();
        Collected { config, outcome: Outcome { columns, ..Outcome::default() }, size }
    }

    /// Adds a row. Fails if that is one too many, or too large with the others.
    pub(super) fn push(&mut self, row: Vec<Value>) -> Result<(), SqlError> {
        if self.outcome.rows.len() >= self.config.rows as usize {
            let rows = self.config.rows;
            return Err(SqlError::Limit(format!(
                "the query finds more than {rows} rows; ask for fewer with LIMIT"
            )));
        }
        self.size += row.iter().map(Value::size).sum::<u64>();
        if self.size > self.config.result {
            let bytes = self.config.result;
            return Err(SqlError::Limit(format!(
                "the query finds more than {bytes} bytes; ask for less"
            )));
        }
        self.outcome.rows.push(row);
        Ok(())
    }

    pub(super) fn finish(self) -> Outcome {
        self.outcome
    }
}

/// The error of a statement that took too long.
pub(super) fn too_long(allowed: Duration) -> SqlError {
    SqlError::Limit(format!("the statement took longer than {allowed:?}"))
}

/// The error of a transaction that was open for too long.
pub(super) fn open_too_long() -> SqlError {
    SqlError::Limit("the transaction was open for too long, and was rolled back".into())
}

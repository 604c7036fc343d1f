//! Limits of statements, independent of the backend.

use std::time::Duration;

use super::{DatabaseConfig, SqlError, Statement, StatementResult, Value};

/// Limit of a statement's text, in bytes: enough for generated statements with a thousand
/// parameters.
pub(super) const MAX_STATEMENT: usize = 64 << 10;

/// Limit of parameters of one statement.
pub(super) const MAX_PARAMETERS: usize = 1000;

/// Limit of one value, and in SQLite also of one row, in bytes. Functions that search a text within
/// another take time in the product of their lengths and cannot be interrupted.
pub(super) const MAX_VALUE: usize = 1 << 20;

/// Time limit of a version's migrations and validation. In SQLite other writers wait meanwhile.
pub(super) const VALIDATION_TIME: Duration = Duration::from_secs(30);

impl Statement {
    /// Checks the sizes of the text and of the parameters.
    pub(super) fn check(&self) -> Result<(), SqlError> {
        if self.text.len() > MAX_STATEMENT {
            return Err(SqlError::Limit(format!(
                "the statement has more than {MAX_STATEMENT} bytes"
            )));
        }

        if self.parameters.len() > MAX_PARAMETERS {
            return Err(SqlError::Limit(format!(
                "the statement has more than {MAX_PARAMETERS} parameters"
            )));
        }

        match self.parameters.iter().find(|value| value.size() > MAX_VALUE as u64) {
            Some(_) => Err(SqlError::Limit(format!("a parameter has more than {MAX_VALUE} bytes"))),
            None => Ok(()),
        }
    }
}

/// Collects rows up to the limits.
pub(super) struct RowCollector<'a> {
    config: &'a DatabaseConfig,
    outcome: StatementResult,
    size: u64,
}

impl<'a> RowCollector<'a> {
    pub(super) fn new(config: &'a DatabaseConfig, columns: Vec<String>) -> Self {
        let size = columns.iter().map(|column| column.len() as u64).sum();
        RowCollector {
            config,
            outcome: StatementResult { columns, ..StatementResult::default() },
            size,
        }
    }

    /// Adds a row. Fails with `Limit` if there are too many rows or bytes.
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

    pub(super) fn finish(self) -> StatementResult {
        self.outcome
    }
}

/// Error of a statement that took too long.
pub(super) fn statement_timeout(allowed: Duration) -> SqlError {
    SqlError::Limit(format!("the statement took longer than {allowed:?}"))
}

/// Error of a transaction that was open for too long.
pub(super) fn transaction_timeout() -> SqlError {
    SqlError::Limit("the transaction was open for too long, and was rolled back".into())
}

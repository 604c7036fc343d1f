//! Conversions between the types of the interface and those of the database.

use super::sql;
use crate::capability::sanitize_line;
use crate::database::{SqlError, Statement, StatementResult, Value};

/// The longest error text, in bytes; it may quote a part of the statement.
const MAX_TEXT: usize = 1024;

/// Converts a statement of the interface.
pub(super) fn statement(text: String, parameters: Vec<sql::Value>) -> Statement {
    Statement { text, parameters: parameters.into_iter().map(Value::from).collect() }
}

impl From<sql::Value> for Value {
    fn from(value: sql::Value) -> Self {
        match value {
            sql::Value::Null => Value::Null,
            sql::Value::Boolean(boolean) => Value::Boolean(boolean),
            sql::Value::Integer(integer) => Value::Integer(integer),
            sql::Value::Real(real) => Value::Real(real),
            sql::Value::Text(text) => Value::Text(text),
            sql::Value::Blob(bytes) => Value::Blob(bytes),
        }
    }
}

impl From<Value> for sql::Value {
    fn from(value: Value) -> Self {
        match value {
            Value::Null => sql::Value::Null,
            Value::Boolean(boolean) => sql::Value::Boolean(boolean),
            Value::Integer(integer) => sql::Value::Integer(integer),
            Value::Real(real) => sql::Value::Real(real),
            Value::Text(text) => sql::Value::Text(text),
            Value::Blob(bytes) => sql::Value::Blob(bytes),
        }
    }
}

impl From<StatementResult> for sql::Rows {
    fn from(outcome: StatementResult) -> Self {
        let values = |row: Vec<Value>| row.into_iter().map(sql::Value::from).collect();
        sql::Rows { columns: outcome.columns, rows: outcome.rows.into_iter().map(values).collect() }
    }
}

impl From<SqlError> for sql::SqlError {
    fn from(error: SqlError) -> Self {
        match error {
            SqlError::Invalid(text) => sql::SqlError::Invalid(sanitize_line(&text, MAX_TEXT)),
            SqlError::Constraint(text) => sql::SqlError::Constraint(sanitize_line(&text, MAX_TEXT)),
            SqlError::Busy => sql::SqlError::Busy,
            SqlError::Limit(text) => sql::SqlError::Limit(sanitize_line(&text, MAX_TEXT)),
            SqlError::Denied(text) => sql::SqlError::Denied(sanitize_line(&text, MAX_TEXT)),
            SqlError::Unavailable(text) => {
                sql::SqlError::Unavailable(sanitize_line(&text, MAX_TEXT))
            }
        }
    }
}

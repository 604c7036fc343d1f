//! One statement: its parameters, its rows, and its first word.

use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{CachedStatement, Connection, ToSql};

use super::error::RunError;
use super::job::StatementJob;
use crate::database::limits::{MAX_PARAMETERS, RowCollector};
use crate::database::{DatabaseConfig, Fetch, SqlError, StatementResult, Value};

/// A prepared statement, cached or not.
pub(super) enum Prepared<'c> {
    Cached(CachedStatement<'c>),
    Uncached(rusqlite::Statement<'c>),
}

impl<'c> Prepared<'c> {
    pub(super) fn get(&mut self) -> &mut rusqlite::Statement<'c> {
        match self {
            Prepared::Cached(statement) => statement,
            Prepared::Uncached(statement) => statement,
        }
    }
}

/// Runs a statement to its end, and collects its rows if they are fetched.
pub(super) fn execute(
    connection: &Connection,
    statement: &mut rusqlite::Statement<'_>,
    job: &StatementJob,
    config: &DatabaseConfig,
) -> Result<StatementResult, RunError> {
    bind(statement, &job.statement.parameters)?;

    let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
    let (width, before) = (columns.len(), connection.total_changes());
    let mut collected = RowCollector::new(config, columns);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if job.fetch == Fetch::Rows {
            collected.push(
                (0..width)
                    .map(|column| read_value(row, column))
                    .collect::<Result<_, RunError>>()?,
            )?;
        }
    }

    drop(rows);

    let changed = if connection.total_changes() == before { 0 } else { connection.changes() };
    Ok(StatementResult { changed, ..collected.finish() })
}

fn read_value(row: &rusqlite::Row<'_>, column: usize) -> Result<Value, RunError> {
    Ok(match row.get_ref(column)? {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(integer) => Value::Integer(integer),
        ValueRef::Real(real) => Value::Real(real),
        ValueRef::Text(text) => match std::str::from_utf8(text) {
            Ok(text) => Value::Text(text.to_owned()),
            // `CAST` can turn any bytes into a text.
            Err(_) => Value::Blob(text.to_owned()),
        },
        ValueRef::Blob(bytes) => Value::Blob(bytes.to_owned()),
    })
}

/// Binds every parameter by the number in its name: `$2` takes the second value, independent of its
/// position.
fn bind(statement: &mut rusqlite::Statement<'_>, parameters: &[Value]) -> Result<(), RunError> {
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = match statement.parameter_name(index) {
            None => index,
            Some(name) => parameter_number(name).ok_or_else(|| {
                SqlError::Invalid(format!(
                    "parameter {name} has no number; write $1, $2 and so on, or ?1, ?2"
                ))
            })?,
        };
        highest = highest.max(number);

        if let Some(value) = parameters.get(number - 1) {
            statement.raw_bind_parameter(index, value)?;
        }
    }

    if highest != parameters.len() {
        let given = parameters.len();
        return Err(SqlError::Invalid(format!(
            "the statement has {highest} parameters, and {given} are given"
        ))
        .into());
    }

    Ok(())
}

fn parameter_number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(['?', '$'])?;
    digits.parse().ok().filter(|number| (1..=MAX_PARAMETERS).contains(number))
}

impl ToSql for Value {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Value::Null => ValueRef::Null,
            Value::Boolean(boolean) => ValueRef::Integer(i64::from(*boolean)),
            Value::Integer(integer) => ValueRef::Integer(*integer),
            Value::Real(real) => ValueRef::Real(*real),
            Value::Text(text) => ValueRef::Text(text.as_bytes()),
            Value::Blob(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

/// True if a statement starts like one that only frees space.
pub(super) fn frees_space(text: &str) -> bool {
    let word = first_word(text);
    ["delete", "drop"].iter().any(|freeing| freeing.eq_ignore_ascii_case(word))
}

/// Returns the first word of a statement; empty if it starts with anything but a letter.
pub(super) fn first_word(text: &str) -> &str {
    let text = text.trim_start();
    let end = text.find(|character: char| !character.is_ascii_alphabetic());
    text.get(..end.unwrap_or(text.len())).unwrap_or_default()
}

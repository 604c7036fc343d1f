//! Runs statements on a connection.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Batch, CachedStatement, Connection, Error, ErrorCode, ToSql};

use super::super::limits::{Collected, PARAMETERS};
use super::super::{DatabaseConfig, Outcome, SqlError, Value, Wanted};
use super::connection::{Guarded, KEPT_LENGTH, PAGE};
use super::watch::Ticket;
use super::worker::Order;
use crate::disk;

/// Limits of one statement.
pub(super) struct Terms<'a> {
    pub(super) ticket: &'a Ticket,
    pub(super) allowed: Duration,
    pub(super) open_until: Option<Instant>,
}

/// Result of a statement on a read-only connection.
pub(super) enum Read {
    Done(Outcome),
    /// The statement would write. Nothing was changed.
    Writes,
}

/// Reason for an early end: an error of SQLite or of the host.
enum Fault {
    Sqlite(Error),
    Own(SqlError),
}

impl Guarded {
    /// Runs one statement.
    pub(super) fn run(
        &self,
        order: &Order,
        config: &DatabaseConfig,
        terms: &Terms<'_>,
    ) -> Result<Outcome, SqlError> {
        self.in_the_name_of(order, terms, || {
            let mut prepared = self.prepare(order)?;
            let prepared = prepared.get();
            // The changes are complete before the first row is returned, so exceeding the limit of
            // rows must roll them back.
            if prepared.column_count() > 0 && !prepared.readonly() {
                return self.or_nothing(|| step(&self.connection, prepared, order, config));
            }

            step(&self.connection, prepared, order, config)
        })
    }

    /// Runs one statement if it only reads.
    pub(super) fn read(
        &self,
        order: &Order,
        config: &DatabaseConfig,
        terms: &Terms<'_>,
    ) -> Result<Read, SqlError> {
        self.in_the_name_of(order, terms, || {
            let mut prepared = self.prepare(order)?;
            let prepared = prepared.get();
            if !prepared.readonly() {
                return Ok(Read::Writes);
            }

            step(&self.connection, prepared, order, config).map(Read::Done)
        })
    }

    /// Runs the statements of a migration one after another.
    pub(super) fn run_all(&self, statements: &str, terms: &Terms<'_>) -> Result<(), SqlError> {
        self.watched(terms, || {
            let mut batch = Batch::new(&self.connection, statements);
            while let Some(mut statement) = self.next_of(&mut batch)? {
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {}
            }

            Ok(())
        })
    }

    /// True if the disk has room. SQLite reports the same error for a full disk and for the page
    /// limit.
    fn has_room(&self) -> bool {
        self.connection.path().is_none_or(|file| disk::has_room(Path::new(file)))
    }

    fn next_of<'c>(
        &'c self,
        batch: &mut Batch<'c, '_>,
    ) -> rusqlite::Result<Option<rusqlite::Statement<'c>>> {
        self.authority.begin_statement();
        batch.next()
    }

    fn prepare(&self, order: &Order) -> rusqlite::Result<Prepared<'_>> {
        let text = &order.statement.text;
        self.authority.begin_statement();

        if order.own {
            // Not cached: a guest that sends the same text would reuse a statement that was not
            // checked.
            return self.connection.prepare(text).map(Prepared::Once);
        }

        if text.len() <= KEPT_LENGTH {
            return self.connection.prepare_cached(text).map(Prepared::Kept);
        }

        // `prepare` looks for a second statement by preparing the rest of the text, recursively. A
        // long text would exhaust the stack.
        let mut batch = Batch::new(&self.connection, text);
        let first = batch.next()?.ok_or(Error::InvalidQuery)?;
        match batch.next()? {
            None => Ok(Prepared::Once(first)),
            Some(_) => Err(Error::MultipleStatement),
        }
    }

    /// Runs work that leaves no changes if it fails.
    fn or_nothing<T>(&self, work: impl FnOnce() -> Result<T, Fault>) -> Result<T, Fault> {
        self.own("SAVEPOINT wardian_statement")?;

        let outcome = work();
        let end = match outcome {
            Ok(_) => "RELEASE wardian_statement",
            Err(_) => "ROLLBACK TO wardian_statement; RELEASE wardian_statement",
        };
        let ended = self.own(end);
        let outcome = outcome?;

        ended?;

        Ok(outcome)
    }

    fn in_the_name_of<T>(
        &self,
        order: &Order,
        terms: &Terms<'_>,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, SqlError> {
        if order.own {
            self.authority.as_host(|| self.watched(terms, work))
        } else {
            self.watched(terms, work)
        }
    }

    /// Runs work within its limits and converts its error.
    fn watched<T>(
        &self,
        terms: &Terms<'_>,
        work: impl FnOnce() -> Result<T, Fault>,
    ) -> Result<T, SqlError> {
        self.authority.take_reason();

        let begun = self.watch.begin(terms.ticket, terms.allowed, terms.open_until);
        let outcome = begun.map_err(Fault::Own).and_then(|()| work());
        let stopped = self.watch.end();

        outcome.map_err(|fault| match fault {
            Fault::Own(error) => error,
            Fault::Sqlite(error) => stopped.unwrap_or_else(|| self.explain(&error)),
        })
    }

    /// Converts an error of SQLite for the author of the statement.
    pub(super) fn explain(&self, error: &Error) -> SqlError {
        match self.authority.take_reason() {
            Some(reason) => SqlError::Denied(reason),
            None => explain(error, self.max_pages.saturating_mul(PAGE), self.has_room()),
        }
    }
}

impl From<Error> for Fault {
    fn from(error: Error) -> Self {
        Fault::Sqlite(error)
    }
}

impl From<SqlError> for Fault {
    fn from(error: SqlError) -> Self {
        Fault::Own(error)
    }
}

/// A prepared statement, cached or not.
enum Prepared<'c> {
    Kept(CachedStatement<'c>),
    Once(rusqlite::Statement<'c>),
}

impl<'c> Prepared<'c> {
    fn get(&mut self) -> &mut rusqlite::Statement<'c> {
        match self {
            Prepared::Kept(statement) => statement,
            Prepared::Once(statement) => statement,
        }
    }
}

fn step(
    connection: &Connection,
    statement: &mut rusqlite::Statement<'_>,
    order: &Order,
    config: &DatabaseConfig,
) -> Result<Outcome, Fault> {
    bind(statement, &order.statement.parameters)?;

    let columns: Vec<_> = statement.column_names().map(str::to_owned).collect();
    let (width, before) = (columns.len(), connection.total_changes());
    let mut collected = Collected::new(config, columns);
    let mut rows = statement.raw_query();
    while let Some(row) = rows.next()? {
        if order.wanted == Wanted::Rows {
            collected
                .push((0..width).map(|column| value(row, column)).collect::<Result<_, Fault>>()?)?;
        }
    }

    drop(rows);

    let changed = if connection.total_changes() == before { 0 } else { connection.changes() };
    Ok(Outcome { changed, ..collected.finish() })
}

fn value(row: &rusqlite::Row<'_>, column: usize) -> Result<Value, Fault> {
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
fn bind(statement: &mut rusqlite::Statement<'_>, parameters: &[Value]) -> Result<(), Fault> {
    let mut highest = 0;
    for index in 1..=statement.parameter_count() {
        let number = match statement.parameter_name(index) {
            None => index,
            Some(name) => number(name).ok_or_else(|| {
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

fn number(name: &str) -> Option<usize> {
    let digits = name.strip_prefix(['?', '$'])?;
    digits.parse().ok().filter(|number| (1..=PARAMETERS).contains(number))
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

fn explain(error: &Error, quota: u64, has_room: bool) -> SqlError {
    let (code, said) = match error {
        Error::SqliteFailure(failure, said) => (failure.code, said.clone().unwrap_or_default()),
        Error::SqlInputError { error, msg, .. } => (error.code, msg.clone()),
        Error::MultipleStatement => return SqlError::Invalid("one statement at a time".into()),
        Error::InvalidQuery => return SqlError::Invalid("there is no statement".into()),
        Error::NulError(_) => {
            return SqlError::Invalid("the statement has a zero byte in it".into());
        }
        other => return unavailable(other),
    };

    match code {
        ErrorCode::DiskFull if !has_room => {
            tracing::error!(
                "a tenant's database cannot be written: the disk of the state directory is full"
            );
            SqlError::Unavailable("the disk is full".into())
        }
        ErrorCode::ConstraintViolation => SqlError::Constraint(said),
        ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked => SqlError::Busy,
        ErrorCode::DiskFull => SqlError::Limit(format!(
            "the {quota} bytes of the tenant's quota for database are used up"
        )),
        ErrorCode::TooBig => {
            SqlError::Limit("a statement, a value or a row is larger than allowed".into())
        }
        ErrorCode::OutOfMemory => {
            SqlError::Limit("there is no memory left for the statement".into())
        }
        ErrorCode::AuthorizationForStatementDenied
        | ErrorCode::ReadOnly
        | ErrorCode::PermissionDenied => SqlError::Denied(said),
        ErrorCode::Unknown
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::ApiMisuse => SqlError::Invalid(said),
        _ => unavailable(error),
    }
}

/// Logs an error that only the operator can fix. The returned text reveals nothing about the host.
fn unavailable(error: &Error) -> SqlError {
    tracing::error!(%error, "a tenant's database cannot be used");
    SqlError::Unavailable("the host's log has the details".into())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::connection::Role;
    use super::*;
    use crate::model::TenantName;
    use crate::tenant::{Meter, Share, Tenant, Turns};

    fn database() -> (tempfile::TempDir, Guarded) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.sqlite");
        let tenant = Tenant::unlimited(TenantName::default_tenant());
        let meter = Meter::new(Turns::new(1), Share::new(tenant.account().clone()));
        let guarded = Guarded::open(&path, Role::Write, &DatabaseConfig::default(), meter).unwrap();

        (folder, guarded)
    }

    fn query(
        guarded: &Guarded,
        text: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let ticket = Ticket::default();
        let order = Order::query(text, parameters);
        let terms = Terms { ticket: &ticket, allowed: Duration::from_secs(5), open_until: None };
        guarded.run(&order, &DatabaseConfig::default(), &terms).map(|outcome| outcome.rows)
    }

    fn any_value() -> impl Strategy<Value = Value> {
        prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::Boolean),
            any::<i64>().prop_map(Value::Integer),
            any::<f64>().prop_map(Value::Real),
            any::<String>().prop_map(Value::Text),
            any::<Vec<u8>>().prop_map(Value::Blob),
        ]
    }

    /// Returns the value that SQLite stores: it has no booleans, and stores NaN as NULL.
    fn kept(value: &Value) -> Value {
        match value {
            Value::Boolean(boolean) => Value::Integer(i64::from(*boolean)),
            Value::Real(real) if real.is_nan() => Value::Null,
            other => other.clone(),
        }
    }

    proptest! {
        #[test]
        fn values_come_back_as_they_went_in(values in proptest::collection::vec(any_value(), 1..20)) {
            let (_folder, guarded) = database();
            let places: Vec<_> = (1..=values.len()).map(|number| format!("${number}")).collect();
            let found = query(&guarded, &format!("select {}", places.join(", ")), values.clone()).unwrap();
            prop_assert_eq!(found, vec![values.iter().map(kept).collect::<Vec<_>>()]);
        }

        #[test]
        fn whatever_is_said_is_answered(text in "[a-z$?(){}*;,'\" 0-9]{0,60}") {
            let (_folder, guarded) = database();
            let _ = query(&guarded, &text, Vec::new());
            prop_assert_eq!(query(&guarded, "select 1", Vec::new()).unwrap(), vec![vec![Value::Integer(1)]]);
        }
    }
}

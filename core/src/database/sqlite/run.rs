//! Runs statements on a connection.

use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::fallible_iterator::FallibleIterator;
use rusqlite::{Batch, Error, ErrorCode};

use super::super::{DatabaseConfig, SqlError, StatementResult};
use super::cancel_token::CancelToken;
use super::error::{RunError, map_error};
use super::guest_connection::{GuestConnection, MAX_CACHED_LENGTH, PAGE_SIZE};
use super::job::StatementJob;
use super::statement::{Prepared, execute, frees_space};
use crate::disk_errors;

/// Limits of one statement.
pub(super) struct StatementLimits<'a> {
    pub(super) cancel_token: &'a CancelToken,
    pub(super) allowed: Duration,
    pub(super) open_until: Option<Instant>,
}

/// Result of a statement on a read-only connection.
pub(super) enum ReadOutcome {
    Done(StatementResult),
    /// The statement would write. Nothing was changed.
    NeedsWrite,
}

impl GuestConnection {
    /// Runs one statement.
    pub(super) fn run(
        &self,
        job: &StatementJob,
        config: &DatabaseConfig,
        limits: &StatementLimits<'_>,
    ) -> Result<StatementResult, SqlError> {
        self.run_as(job, limits, || {
            let mut prepared = self.prepare(job)?;
            let prepared = prepared.get();
            if !prepared.readonly() && !frees_space(&job.statement.text) {
                self.check_room()?;
            }

            // The changes are complete before the first row is returned, so exceeding the limit of
            // rows must roll them back.
            if prepared.column_count() > 0 && !prepared.readonly() {
                return self.in_savepoint(|| execute(&self.sqlite, prepared, job, config));
            }

            execute(&self.sqlite, prepared, job, config)
        })
    }

    /// Runs one statement if it only reads.
    pub(super) fn read(
        &self,
        job: &StatementJob,
        config: &DatabaseConfig,
        limits: &StatementLimits<'_>,
    ) -> Result<ReadOutcome, SqlError> {
        self.run_as(job, limits, || {
            let mut prepared = self.prepare(job)?;
            let prepared = prepared.get();
            if !prepared.readonly() {
                return Ok(ReadOutcome::NeedsWrite);
            }

            execute(&self.sqlite, prepared, job, config).map(ReadOutcome::Done)
        })
    }

    /// Runs the statements of a migration one after another.
    pub(super) fn run_migration(
        &self,
        statements: &str,
        limits: &StatementLimits<'_>,
    ) -> Result<(), SqlError> {
        self.with_watchdog(limits, || {
            self.check_room()?;

            let mut batch = Batch::new(&self.sqlite, statements);
            while let Some(mut statement) = self.next_statement(&mut batch)? {
                let mut rows = statement.raw_query();
                while rows.next()?.is_some() {}
            }

            Ok(())
        })
    }

    /// True if the disk has room. SQLite reports the same error for a full disk and for the page
    /// limit.
    fn has_room(&self) -> bool {
        self.sqlite.path().is_none_or(|file| disk_errors::has_free_space(Path::new(file)))
    }

    /// Fails if the disk is full, so that the reserved space is left for deletions.
    fn check_room(&self) -> Result<(), RunError> {
        if self.has_room() { Ok(()) } else { Err(RunError::Host(self.disk_full())) }
    }

    /// Logs that the disk is full, and returns the error for the author of the statement.
    fn disk_full(&self) -> SqlError {
        let file = self.sqlite.path().unwrap_or_default();
        tracing::error!(
            file,
            "a tenant's database cannot be written: the disk of the state directory is full"
        );

        SqlError::Unavailable("the disk is full".into())
    }

    fn next_statement<'c>(
        &'c self,
        batch: &mut Batch<'c, '_>,
    ) -> rusqlite::Result<Option<rusqlite::Statement<'c>>> {
        self.authorizer.begin_statement();
        batch.next()
    }

    fn prepare(&self, job: &StatementJob) -> rusqlite::Result<Prepared<'_>> {
        let text = &job.statement.text;
        self.authorizer.begin_statement();

        if job.is_host {
            // Not cached: a guest that sends the same text would reuse a statement that was not
            // checked.
            return self.sqlite.prepare(text).map(Prepared::Uncached);
        }

        if text.len() <= MAX_CACHED_LENGTH {
            return self.sqlite.prepare_cached(text).map(Prepared::Cached);
        }

        // `prepare` looks for a second statement by preparing the rest of the text, recursively. A
        // long text would exhaust the stack.
        let mut batch = Batch::new(&self.sqlite, text);
        let first = batch.next()?.ok_or(Error::InvalidQuery)?;
        match batch.next()? {
            None => Ok(Prepared::Uncached(first)),
            Some(_) => Err(Error::MultipleStatement),
        }
    }

    /// Runs work that leaves no changes if it fails.
    fn in_savepoint<T>(&self, work: impl FnOnce() -> Result<T, RunError>) -> Result<T, RunError> {
        self.execute_trusted("SAVEPOINT wardian_statement")?;

        let outcome = work();
        let end = match outcome {
            Ok(_) => "RELEASE wardian_statement",
            Err(_) => "ROLLBACK TO wardian_statement; RELEASE wardian_statement",
        };
        let ended = self.execute_trusted(end);
        let outcome = outcome?;

        ended?;

        Ok(outcome)
    }

    fn run_as<T>(
        &self,
        job: &StatementJob,
        limits: &StatementLimits<'_>,
        work: impl FnOnce() -> Result<T, RunError>,
    ) -> Result<T, SqlError> {
        if job.is_host {
            self.authorizer.as_host(|| self.with_watchdog(limits, work))
        } else {
            self.with_watchdog(limits, work)
        }
    }

    /// Runs work within its limits and converts its error.
    fn with_watchdog<T>(
        &self,
        limits: &StatementLimits<'_>,
        work: impl FnOnce() -> Result<T, RunError>,
    ) -> Result<T, SqlError> {
        self.authorizer.take_reason();

        let begun = self.watchdog.begin(limits.cancel_token, limits.allowed, limits.open_until);
        let outcome = begun.map_err(RunError::Host).and_then(|()| work());
        let stopped = self.watchdog.end();

        outcome.map_err(|fault| match fault {
            RunError::Host(error) => error,
            RunError::Sqlite(error) => stopped.unwrap_or_else(|| self.to_sql_error(&error)),
        })
    }

    /// Converts an error of SQLite for the author of the statement.
    pub(super) fn to_sql_error(&self, error: &Error) -> SqlError {
        if let Some(reason) = self.authorizer.take_reason() {
            return SqlError::Denied(reason);
        }

        if error.sqlite_error_code() == Some(ErrorCode::DiskFull) && !self.has_room() {
            return self.disk_full();
        }

        map_error(error, self.max_pages.saturating_mul(PAGE_SIZE))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::guest_connection::Access;
    use super::*;
    use crate::database::Value;
    use crate::model::TenantName;
    use crate::tenant::{CpuShare, FairScheduler, HostWorkMeter, Tenant};

    fn database() -> (tempfile::TempDir, GuestConnection) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("database.sqlite");
        let tenant = Tenant::unlimited(TenantName::default_tenant());
        let meter =
            HostWorkMeter::new(FairScheduler::new(1), CpuShare::new(tenant.account().clone()));
        let connection =
            GuestConnection::open(&path, Access::Write, &DatabaseConfig::default(), meter).unwrap();

        (folder, connection)
    }

    fn query(
        connection: &GuestConnection,
        text: &str,
        parameters: Vec<Value>,
    ) -> Result<Vec<Vec<Value>>, SqlError> {
        let cancel_token = CancelToken::default();
        let job = StatementJob::query(text, parameters);
        let limits = StatementLimits {
            cancel_token: &cancel_token,
            allowed: Duration::from_secs(5),
            open_until: None,
        };
        connection.run(&job, &DatabaseConfig::default(), &limits).map(|outcome| outcome.rows)
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
            let (_folder, connection) = database();
            let places: Vec<_> = (1..=values.len()).map(|number| format!("${number}")).collect();
            let found = query(&connection, &format!("select {}", places.join(", ")), values.clone()).unwrap();
            prop_assert_eq!(found, vec![values.iter().map(kept).collect::<Vec<_>>()]);
        }

        #[test]
        fn whatever_is_said_is_answered(text in "[a-z$?(){}*;,'\" 0-9]{0,60}") {
            let (_folder, connection) = database();
            let _ = query(&connection, &text, Vec::new());
            prop_assert_eq!(query(&connection, "select 1", Vec::new()).unwrap(), vec![vec![Value::Integer(1)]]);
        }
    }
}

//! Errors of statements: those of SQLite, in the words of the statement's author, and the host's.

use rusqlite::{Error, ErrorCode};

use crate::database::SqlError;

/// The reason for an early end: an error of SQLite or of the host.
pub(super) enum RunError {
    Sqlite(Error),
    Host(SqlError),
}

impl From<Error> for RunError {
    fn from(error: Error) -> Self {
        RunError::Sqlite(error)
    }
}

impl From<SqlError> for RunError {
    fn from(error: SqlError) -> Self {
        RunError::Host(error)
    }
}

/// Converts an error of SQLite in a database with a quota of so many bytes.
pub(super) fn map_error(error: &Error, quota: u64) -> SqlError {
    let (code, text) = match error {
        Error::SqliteFailure(failure, text) => (failure.code, text.clone().unwrap_or_default()),
        Error::SqlInputError { error, msg, .. } => (error.code, msg.clone()),
        Error::MultipleStatement => return SqlError::Invalid("one statement at a time".into()),
        Error::InvalidQuery => return SqlError::Invalid("there is no statement".into()),
        Error::NulError(_) => {
            return SqlError::Invalid("the statement has a zero byte in it".into());
        }
        other => return unavailable(other),
    };

    match code {
        ErrorCode::ConstraintViolation => SqlError::Constraint(text),
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
        | ErrorCode::PermissionDenied => SqlError::Denied(text),
        ErrorCode::Unknown
        | ErrorCode::TypeMismatch
        | ErrorCode::ParameterOutOfRange
        | ErrorCode::ApiMisuse => SqlError::Invalid(text),
        _ => unavailable(error),
    }
}

/// Logs an error that only the operator can fix. The returned text reveals nothing about the host.
fn unavailable(error: &Error) -> SqlError {
    tracing::error!(%error, "a tenant's database cannot be used");
    SqlError::Unavailable("the host's log has the details".into())
}

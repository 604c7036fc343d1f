//! Converts errors of PostgreSQL for the author of the statement.

use tokio_postgres::Error;
use tokio_postgres::error::{DbError, SqlState};

use super::super::SqlError;

pub(super) fn to_sql_error(error: &Error) -> SqlError {
    match error.as_db_error() {
        Some(said) => map_db_error(said),
        None if error.is_closed() => SqlError::Unavailable("the connection has ended".into()),
        None => {
            // A value could not be encoded or decoded, or the connection broke.
            tracing::debug!(%error, "a statement was not carried out");

            match std::error::Error::source(error) {
                Some(cause) if !cause.is::<std::io::Error>() => {
                    SqlError::Invalid(cause.to_string())
                }
                _ => SqlError::Unavailable("the connection has ended".into()),
            }
        }
    }
}

fn map_db_error(said: &DbError) -> SqlError {
    let (code, text) = (said.code(), said.message().to_owned());
    if *code == SqlState::QUERY_CANCELED {
        return SqlError::Limit("the statement took too long".into());
    }

    if *code == SqlState::INSUFFICIENT_PRIVILEGE {
        return SqlError::Denied(text);
    }

    // The first two characters are the error class.
    match code.code().get(..2).unwrap_or_default() {
        "23" => SqlError::Constraint(text),
        "40" => SqlError::Busy,
        "53" | "54" => SqlError::Limit(text),
        "55" => SqlError::Busy,
        "25" if *code == SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT => {
            super::super::limits::transaction_timeout()
        }
        "25" => SqlError::Unavailable("an earlier error has rolled the transaction back".into()),
        "08" | "57" | "58" | "XX" => {
            tracing::error!(code = code.code(), text, "a tenant's database cannot be used");
            SqlError::Unavailable("the host's log has the details".into())
        }
        _ => SqlError::Invalid(text),
    }
}

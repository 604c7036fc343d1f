//! The tenant's own database.
//!
//! ```no_run
//! use wardian_sdk::{Error, sql};
//!
//! fn rename(id: i64, name: &str) -> Result<Vec<String>, Error> {
//!     sql::execute("update plants set name = $1 where id = $2", (name, id))?;
//!     let rows = sql::query("select name from plants order by id", ())?;
//!     rows.iter().map(|row| row.get("name")).collect()
//! }
//! ```
//!
//! Parameters are a tuple of up to eight values, an array, or a `Vec` of [`Value`]. Every function
//! fails with an [`SqlError`], which `?` turns into an [`Error`](crate::Error) of the model; match
//! on it for errors that are a caller's mistake, such as a [constraint](SqlError::Constraint). A
//! model has no database in `load`, and none natively.

mod parameters;
mod rows;
mod value;

pub use self::parameters::Parameters;
pub use self::rows::{Row, Rows};
pub use self::value::FromValue;
pub use crate::bindings::model::wardian::model::sql::Value;

use std::fmt;

use crate::Error;
use crate::bindings::model::wardian::model::sql as generated;

/// The error of a statement.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SqlError {
    /// The statement or its parameters are invalid.
    Invalid(String),
    /// A constraint of the tables forbids it.
    Constraint(String),
    /// Other statements kept the database busy for too long.
    Busy,
    /// The statement exceeds a limit.
    Limit(String),
    /// The statement is not permitted.
    Denied(String),
    /// The database cannot be used.
    Unavailable(String),
}

/// Runs one statement and returns its rows. `$1`, `$2` … stand for the parameters.
///
/// # Errors
/// See [`SqlError`].
pub fn query(statement: &str, parameters: impl Parameters) -> Result<Rows, SqlError> {
    imp::query(statement, &parameters.into_values())
}

/// Runs one statement and returns the number of changed rows.
///
/// # Errors
/// See [`SqlError`].
pub fn execute(statement: &str, parameters: impl Parameters) -> Result<u64, SqlError> {
    imp::execute(statement, &parameters.into_values())
}

/// Several statements that happen together or not at all. Dropped without
/// [`commit`](Transaction::commit), it is rolled back.
///
/// While it is open, no other call of this tenant can write: compute before it, and keep it short.
/// The host ends it after a few seconds, and with the call.
pub struct Transaction(imp::Transaction);

impl Transaction {
    /// Begins a transaction, once no other is open. A call has one at a time.
    ///
    /// # Errors
    /// [`SqlError::Busy`] if another transaction stays open for too long.
    pub fn begin() -> Result<Self, SqlError> {
        imp::Transaction::begin().map(Transaction)
    }

    /// Like [`query`], within the transaction.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub fn query(&self, statement: &str, parameters: impl Parameters) -> Result<Rows, SqlError> {
        self.0.query(statement, &parameters.into_values())
    }

    /// Like [`execute`], within the transaction.
    ///
    /// # Errors
    /// See [`SqlError`].
    pub fn execute(&self, statement: &str, parameters: impl Parameters) -> Result<u64, SqlError> {
        self.0.execute(statement, &parameters.into_values())
    }

    /// Commits the transaction.
    ///
    /// # Errors
    /// [`SqlError`] if nothing was committed.
    pub fn commit(self) -> Result<(), SqlError> {
        self.0.commit()
    }

    /// Rolls the transaction back, as dropping it does.
    ///
    /// # Errors
    /// [`SqlError`] if the database could not be reached; it is rolled back all the same.
    pub fn rollback(self) -> Result<(), SqlError> {
        self.0.rollback()
    }
}

impl From<SqlError> for Error {
    fn from(error: SqlError) -> Self {
        Error::failed(format_args!("sql: {error}"))
    }
}

impl fmt::Display for SqlError {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            SqlError::Invalid(text) => write!(out, "the statement is wrong: {text}"),
            SqlError::Constraint(text) => write!(out, "a constraint forbids it: {text}"),
            SqlError::Busy => out.write_str("others kept the database busy for too long"),
            SqlError::Limit(text) => write!(out, "more than allowed: {text}"),
            SqlError::Denied(text) => write!(out, "not permitted: {text}"),
            SqlError::Unavailable(text) => write!(out, "the database cannot be used: {text}"),
        }
    }
}

impl std::error::Error for SqlError {}

impl From<generated::SqlError> for SqlError {
    fn from(error: generated::SqlError) -> Self {
        match error {
            generated::SqlError::Invalid(text) => SqlError::Invalid(text),
            generated::SqlError::Constraint(text) => SqlError::Constraint(text),
            generated::SqlError::Busy => SqlError::Busy,
            generated::SqlError::Limit(text) => SqlError::Limit(text),
            generated::SqlError::Denied(text) => SqlError::Denied(text),
            generated::SqlError::Unavailable(text) => SqlError::Unavailable(text),
        }
    }
}

#[cfg(target_family = "wasm")]
mod imp {
    use super::{Rows, SqlError, Value};
    use crate::bindings::model::wardian::model::sql;

    pub(super) fn query(statement: &str, parameters: &[Value]) -> Result<Rows, SqlError> {
        Ok(Rows::new(sql::query(statement, parameters)?))
    }

    pub(super) fn execute(statement: &str, parameters: &[Value]) -> Result<u64, SqlError> {
        Ok(sql::execute(statement, parameters)?)
    }

    pub(super) struct Transaction(sql::Transaction);

    impl Transaction {
        pub(super) fn begin() -> Result<Self, SqlError> {
            Ok(Transaction(sql::Transaction::begin()?))
        }

        pub(super) fn query(
            &self,
            statement: &str,
            parameters: &[Value],
        ) -> Result<Rows, SqlError> {
            Ok(Rows::new(self.0.query(statement, parameters)?))
        }

        pub(super) fn execute(
            &self,
            statement: &str,
            parameters: &[Value],
        ) -> Result<u64, SqlError> {
            Ok(self.0.execute(statement, parameters)?)
        }

        pub(super) fn commit(self) -> Result<(), SqlError> {
            Ok(sql::Transaction::commit(self.0)?)
        }

        pub(super) fn rollback(self) -> Result<(), SqlError> {
            Ok(sql::Transaction::rollback(self.0)?)
        }
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use super::{Rows, SqlError, Value};

    fn unavailable<T>() -> Result<T, SqlError> {
        Err(SqlError::Unavailable("there is no host".to_owned()))
    }

    pub(super) fn query(_statement: &str, _parameters: &[Value]) -> Result<Rows, SqlError> {
        unavailable()
    }

    pub(super) fn execute(_statement: &str, _parameters: &[Value]) -> Result<u64, SqlError> {
        unavailable()
    }

    pub(super) enum Transaction {}

    impl Transaction {
        pub(super) fn begin() -> Result<Self, SqlError> {
            unavailable()
        }

        pub(super) fn query(
            &self,
            _statement: &str,
            _parameters: &[Value],
        ) -> Result<Rows, SqlError> {
            match *self {}
        }

        pub(super) fn execute(
            &self,
            _statement: &str,
            _parameters: &[Value],
        ) -> Result<u64, SqlError> {
            match *self {}
        }

        pub(super) fn commit(self) -> Result<(), SqlError> {
            match self {}
        }

        pub(super) fn rollback(self) -> Result<(), SqlError> {
            match self {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::SqlError;
    use crate::Error;

    #[test]
    fn an_error_displays_a_plain_text() {
        let error = SqlError::Constraint("UNIQUE constraint failed: plants.id".into());
        assert_eq!(
            error.to_string(),
            "a constraint forbids it: UNIQUE constraint failed: plants.id"
        );
        let busy = Error::from(SqlError::Busy);
        assert_eq!(busy.to_string(), "sql: others kept the database busy for too long");
    }
}

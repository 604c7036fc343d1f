//! Statements, results and errors.

/// A value of a row or of a parameter.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs)] // As the interface names them.
pub enum Value {
    Null,
    Boolean(bool),
    Integer(i64),
    Real(f64),
    Text(String),
    Blob(Vec<u8>),
}

/// A statement and the values of its parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    /// Text in the dialect of the database.
    pub text: String,
    /// Values of `$1` (or `?1`), `$2` and so on.
    pub parameters: Vec<Value>,
}

/// Part of the result that the caller needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fetch {
    /// The returned rows.
    Rows,
    /// The number of changed rows; returned rows are dropped.
    Count,
}

/// Result of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StatementResult {
    /// Column names of the returned rows.
    pub columns: Vec<String>,
    /// Returned rows; empty if only the count was requested.
    pub rows: Vec<Vec<Value>>,
    /// Number of changed rows.
    pub changed: u64,
}

/// Reason for a failed statement. The texts are for the author of the statement and reveal nothing
/// about the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The statement is not valid.
    #[error("{0}")]
    Invalid(String),
    /// A constraint is violated.
    #[error("{0}")]
    Constraint(String),
    /// Other transactions blocked the database for too long.
    #[error("others keep the database busy")]
    Busy,
    /// A limit is exceeded.
    #[error("{0}")]
    Limit(String),
    /// The statement is not permitted.
    #[error("{0}")]
    Denied(String),
    /// The database cannot be used now.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
}

impl Value {
    /// Returns the approximate size in memory, in bytes.
    pub fn size(&self) -> u64 {
        let own = match self {
            Value::Text(text) => text.len(),
            Value::Blob(bytes) => bytes.len(),
            _ => 0,
        };
        (own + size_of::<Value>()) as u64
    }
}

impl SqlError {
    /// Returns the value of the metric label `reason`.
    pub fn reason(&self) -> &'static str {
        match self {
            SqlError::Invalid(_) => "invalid",
            SqlError::Constraint(_) => "constraint",
            SqlError::Busy => "busy",
            SqlError::Limit(_) => "limit",
            SqlError::Denied(_) => "denied",
            SqlError::Unavailable(_) => "unavailable",
        }
    }
}

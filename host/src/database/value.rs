//! What goes into a statement, what comes out of it, and why it may not.

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

/// One statement and the values of its parameters.
#[derive(Clone, Debug)]
pub struct Statement {
    /// In the database's own dialect.
    pub text: String,
    /// The value of `$1` (or `?1`), of `$2`, and so on.
    pub parameters: Vec<Value>,
}

/// What is wanted of a statement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Wanted {
    /// The rows it finds.
    Rows,
    /// How many rows it changes; what it finds is dropped.
    Count,
}

/// What has come of a statement.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Outcome {
    /// The names of what it finds.
    pub columns: Vec<String>,
    /// What it has found, if that was wanted.
    pub rows: Vec<Vec<Value>>,
    /// How many rows it has changed.
    pub changed: u64,
}

/// Why a statement was not carried out. The texts are for whoever has written the statement, and
/// tell nothing of the host.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SqlError {
    /// The statement is wrong.
    #[error("{0}")]
    Invalid(String),
    /// A constraint of a table forbids it.
    #[error("{0}")]
    Constraint(String),
    /// Others kept the database busy for too long.
    #[error("others keep the database busy")]
    Busy,
    /// More of something than allowed.
    #[error("{0}")]
    Limit(String),
    /// What the statement would do is not permitted.
    #[error("{0}")]
    Denied(String),
    /// The database cannot be used now.
    #[error("the database cannot be used now: {0}")]
    Unavailable(String),
}

impl Value {
    /// How many bytes it takes, about.
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
    /// Its name in metrics.
    pub fn name(&self) -> &'static str {
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

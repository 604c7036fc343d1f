//! Settings of the tenants' databases.

use std::time::Duration;

use crate::journal::Durability;

/// Settings of all tenants' databases.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DatabaseConfig {
    /// Durability of an acknowledged write in SQLite. PostgreSQL has a setting of its own.
    pub durability: Durability,
    /// Time limit of one statement.
    pub statement_time: Duration,
    /// Time limit of an open transaction. In SQLite it blocks the tenant's other writers.
    pub transaction_time: Duration,
    /// Time limit of waiting for other statements.
    pub busy_timeout: Duration,
    /// Limit of rows that a query may return.
    pub rows: u32,
    /// Limit of bytes that a query may return.
    pub result: u64,
}

impl Default for DatabaseConfig {
    fn default() -> Self {
        DatabaseConfig {
            // An acknowledged write should survive a power failure.
            durability: Durability::Full,
            // The default deadline of a request.
            statement_time: Duration::from_secs(5),
            transaction_time: Duration::from_secs(5),
            busy_timeout: Duration::from_secs(5),
            // The result lies in the model's memory. Larger results can be queried in pages.
            rows: 10_000,
            result: 8 << 20,
        }
    }
}

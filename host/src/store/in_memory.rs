//! A store in memory, for calls that must leave nothing behind.

use rusqlite::Connection;

use super::{SCHEMA, StoreError};

/// Limit of pages of 4 KiB: as much as a warm-up or golden request needs.
const MAX_PAGES: i64 = 4096;

/// An empty store in memory.
pub struct InMemoryStore(Connection);

impl InMemoryStore {
    /// Creates the tables. Fails if memory is exhausted.
    pub fn new() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "max_page_count", MAX_PAGES)?;
        connection.execute_batch(&SCHEMA.concat())?;
        Ok(InMemoryStore(connection))
    }

    /// Runs a job, atomically.
    pub fn run<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.execute_batch("BEGIN")?;

        let outcome = job(&self.0);
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        // Some errors have already rolled back.
        if !self.0.is_autocommit() {
            self.0.execute_batch(end)?;
        }

        // Nothing is on a disk: the page limit is reached.
        outcome
            .map_err(|error| if error == StoreError::DiskFull { StoreError::Full } else { error })
    }
}

//! A store that is kept nowhere: for calls of which nothing may remain.

use rusqlite::Connection;

use super::{SCHEMA, StoreError};

/// Pages that it may have, of 4 KiB each: as much as a request that tries a model out can need.
const MAX_PAGES: i64 = 4096;

/// A store with nothing in it, in memory.
pub struct Scratch(Connection);

impl Scratch {
    /// Makes one.
    pub fn new() -> Result<Self, StoreError> {
        let connection = Connection::open_in_memory()?;
        connection.pragma_update(None, "max_page_count", MAX_PAGES)?;
        connection.execute_batch(&SCHEMA.concat())?;
        Ok(Scratch(connection))
    }

    /// Carries out a job, as a whole or not at all.
    pub fn run<T>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError>,
    ) -> Result<T, StoreError> {
        self.0.execute_batch("BEGIN")?;
        let outcome = job(&self.0);
        let end = if outcome.is_ok() { "COMMIT" } else { "ROLLBACK" };
        // Some errors have rolled back already.
        if !self.0.is_autocommit() {
            self.0.execute_batch(end)?;
        }
        // It is on no disk.
        outcome
            .map_err(|error| if error == StoreError::DiskFull { StoreError::Full } else { error })
    }
}

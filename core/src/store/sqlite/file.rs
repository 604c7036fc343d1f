//! Opens a store's file, and creates it if it does not exist.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::super::{Durability, StoreError};
use super::{key_value, row_counts, sessions, tasks};
use crate::disk_errors;
use crate::journal::{self, Journal};
use crate::tenant::{Resource, Tenant, UNLIMITED};

/// All tables. A file with another schema version is not opened.
const SCHEMA: &[&str] = &[row_counts::SCHEMA, key_value::SCHEMA, sessions::SCHEMA, tasks::SCHEMA];

/// Schema version. Increased whenever a table changes.
const SCHEMA_VERSION: i64 = 1;

/// SQLite's default page size, in bytes.
const PAGE_SIZE: u64 = 4096;

/// SQLite's limit of pages.
const MAX_PAGES: u64 = u32::MAX as u64 - 1;

/// Pages that one job may use beyond the quota before SQLite itself stops it.
const SLACK_PAGES: u64 = (64 << 20) / PAGE_SIZE;

/// Path and settings of a store's file, which may not exist yet.
pub(super) struct StoreFile {
    path: PathBuf,
    durability: Durability,
    tenant: Arc<Tenant>,
}

impl StoreFile {
    pub(super) fn new(path: PathBuf, durability: Durability, tenant: Arc<Tenant>) -> Self {
        StoreFile { path, durability, tenant }
    }

    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file, and creates it if it does not exist.
    pub(super) fn open(&self) -> Result<OpenFile, StoreError> {
        create_folder(&self.path).map_err(|error| match disk_errors::is_disk_full(&error) {
            true => StoreError::DiskFull,
            false => StoreError::Unavailable(error.to_string()),
        })?;
        journal::check(&self.path).map_err(|error| StoreError::Unavailable(error.to_string()))?;

        let connection = Connection::open(&self.path)?;
        // Other writers exist only while a removed tenant of the same name still has calls; an
        // operator's backup may read for a moment.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", self.durability.synchronous())?;

        let mut journal = Journal::new(&self.path, &connection)?;
        create_schema(&connection, &mut journal)?;
        self.record_size(&connection)?;

        Ok(OpenFile { connection, journal })
    }

    /// Sets SQLite's page limit and returns the number of pages allowed by the tenant's current
    /// quota.
    pub(super) fn apply_quota(&self, connection: &Connection) -> Result<u64, StoreError> {
        let limit = self.tenant.settings().quota.data;
        let pages =
            if limit == UNLIMITED { MAX_PAGES } else { (limit / PAGE_SIZE).clamp(1, MAX_PAGES) };
        // SQLite's own limit rolls back the whole transaction, including the writes of other jobs.
        // So it lies above the quota, which is checked for each job.
        connection.pragma_update(
            None,
            "max_page_count",
            pages.saturating_add(SLACK_PAGES).min(MAX_PAGES) as i64,
        )?;
        Ok(pages)
    }

    /// Distinguishes a full disk from a job that hit SQLite's page limit above the quota. SQLite
    /// reports the same error for both.
    pub(super) fn distinguish_full(&self, error: StoreError) -> StoreError {
        let quota = self.tenant.settings().quota.data;
        let is_limit =
            || self.tenant.used(Resource::Data).saturating_add(SLACK_PAGES * PAGE_SIZE) >= quota;
        match error {
            StoreError::DiskFull
                if quota != UNLIMITED && is_limit() && disk_errors::has_free_space(&self.path) =>
            {
                StoreError::Full
            }
            other => other,
        }
    }

    /// Reports the used size of the file to the tenant's quota.
    pub(super) fn record_size(&self, connection: &Connection) -> Result<(), StoreError> {
        self.tenant.set_kept(Resource::Data, used_pages(connection)? * PAGE_SIZE);
        Ok(())
    }
}

/// An open file and its journal.
pub(super) struct OpenFile {
    pub(super) connection: Connection,
    pub(super) journal: Journal,
}

impl OpenFile {
    /// Checkpoints the journal and closes the file.
    pub(super) fn close(mut self, tenant: &Tenant) {
        let checkpointed = self.journal.end(&self.connection);
        let closed = self.connection.close().map_err(|(_, error)| error);
        match checkpointed.and_then(|checkpointed| closed.map(|()| checkpointed)) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(tenant = %tenant.name(), "a store is being read, so its journal was not checkpointed")
            }
            Err(error) => {
                tracing::warn!(tenant = %tenant.name(), %error, "a store was not closed well")
            }
        }
    }
}

/// Returns the number of pages in use.
pub(super) fn used_pages(connection: &Connection) -> Result<u64, StoreError> {
    let count = |pragma| -> rusqlite::Result<i64> {
        connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))
    };
    Ok((count("PRAGMA page_count")? - count("PRAGMA freelist_count")?).max(0) as u64)
}

fn create_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // Only the host's user may read tenants' data.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn create_schema(connection: &Connection, journal: &mut Journal) -> Result<(), StoreError> {
    let version = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    match version()? {
        0 => {
            journal.begin(connection);
            connection.execute_batch("BEGIN IMMEDIATE")?;

            // Another process may have created them since.
            if version()? == 0 {
                connection.execute_batch(&format!(
                    "{} PRAGMA user_version = {SCHEMA_VERSION}",
                    SCHEMA.concat()
                ))?;
            }

            Ok(connection.execute_batch("COMMIT")?)
        }
        SCHEMA_VERSION => Ok(()),
        other => Err(StoreError::Unavailable(format!(
            "it is of version {other}; this program reads version {SCHEMA_VERSION}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;

    #[test]
    fn commits_are_flushed_as_configured() {
        for (durability, level) in [(Durability::Normal, 1), (Durability::Full, 2)] {
            let folder = tempfile::tempdir().unwrap();
            let tenant = Tenant::unlimited(TenantName::default_tenant());
            let opened =
                StoreFile::new(folder.path().join("store"), durability, tenant).open().unwrap();

            let found: i64 =
                opened.connection.query_row("PRAGMA synchronous", [], |row| row.get(0)).unwrap();

            assert_eq!(found, level, "{durability:?}");
        }
    }
}

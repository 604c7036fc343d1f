//! A store's file: found or made, and set up.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use rusqlite::Connection;

use super::{StoreError, keys, sessions, tasks, totals};
use crate::disk;
use crate::journal::{self, Journal};
use crate::tenant::{Resource, Tenant, UNLIMITED};

/// How much a machine that loses its power may take with it. What is kept survives the end of the
/// process either way.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Durability {
    /// Nothing that was acknowledged.
    #[default]
    Full,
    /// The last moments before it, as a whole: what is left is as it was then.
    Normal,
}

impl Durability {
    /// What SQLite calls it.
    pub fn synchronous(self) -> &'static str {
        match self {
            Durability::Full => "FULL",
            Durability::Normal => "NORMAL",
        }
    }
}

/// Every table there is. A file of another version is left alone.
pub(super) const SCHEMA: &[&str] = &[totals::SCHEMA, keys::SCHEMA, sessions::SCHEMA, tasks::SCHEMA];

/// Raised whenever a table changes.
const VERSION: i64 = 1;

/// The size of SQLite's pages unless told otherwise.
const PAGE: u64 = 4096;

/// The most that SQLite can count.
const MAX_PAGES: u64 = u32::MAX as u64 - 1;

/// Pages that one job may use beyond the quota before that is noticed, and it is undone.
const SLACK: u64 = (64 << 20) / PAGE;

/// A file that may or may not be there yet.
pub(super) struct StoreFile {
    path: PathBuf,
    durability: Durability,
    tenant: Arc<Tenant>,
}

impl StoreFile {
    pub(super) fn new(path: PathBuf, durability: Durability, tenant: Arc<Tenant>) -> Self {
        StoreFile { path, durability, tenant }
    }

    /// Whose it is.
    pub(super) fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Where it is.
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Opens it, and makes it if need be.
    pub(super) fn open(&self) -> Result<Opened, StoreError> {
        make_folder(&self.path).map_err(|error| match disk::is_full(&error) {
            true => StoreError::DiskFull,
            false => StoreError::Unavailable(error.to_string()),
        })?;
        journal::check(&self.path).map_err(|error| StoreError::Unavailable(error.to_string()))?;
        let connection = Connection::open(&self.path)?;
        // Nobody else writes but what is still under way for a predecessor; an operator's backup
        // may read for a moment.
        connection.busy_timeout(Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "WAL")?;
        connection.pragma_update(None, "synchronous", self.durability.synchronous())?;
        let mut journal = Journal::of(&self.path, &connection)?;
        prepare(&connection, &mut journal)?;
        self.note_size(&connection)?;
        Ok(Opened { connection, journal })
    }

    /// The pages that may be in use, by the tenant's quota as it is now.
    pub(super) fn apply_limit(&self, connection: &Connection) -> Result<u64, StoreError> {
        let limit = self.tenant.settings().quota.data;
        let pages = if limit == UNLIMITED { MAX_PAGES } else { (limit / PAGE).clamp(1, MAX_PAGES) };
        // SQLite's own limit undoes whole transactions, with everything that others have written in
        // them.
        connection.pragma_update(
            None,
            "max_page_count",
            pages.saturating_add(SLACK).min(MAX_PAGES) as i64,
        )?;
        Ok(pages)
    }

    /// Tells a full disk from a job that met SQLite's own limit, which lies beyond the quota:
    /// SQLite has one error for both.
    pub(super) fn explain(&self, error: StoreError) -> StoreError {
        let quota = self.tenant.settings().quota.data;
        let is_limit = || self.tenant.used(Resource::Data).saturating_add(SLACK * PAGE) >= quota;
        match error {
            StoreError::DiskFull
                if quota != UNLIMITED && is_limit() && disk::has_room(&self.path) =>
            {
                StoreError::Full
            }
            other => other,
        }
    }

    /// Tells the tenant how much of its quota the file takes.
    pub(super) fn note_size(&self, connection: &Connection) -> Result<(), StoreError> {
        self.tenant.note_kept(Resource::Data, used(connection)? * PAGE);
        Ok(())
    }
}

/// An open file.
pub(super) struct Opened {
    pub(super) connection: Connection,
    pub(super) journal: Journal,
}

impl Opened {
    /// Closes it, with everything in the file itself.
    pub(super) fn close(mut self, tenant: &Tenant) {
        let folded = self.journal.end(&self.connection);
        let closed = self.connection.close().map_err(|(_, error)| error);
        match folded.and_then(|folded| closed.map(|()| folded)) {
            Ok(true) => {}
            Ok(false) => {
                tracing::warn!(tenant = %tenant.name(), "somebody reads a store: its journal is not folded")
            }
            Err(error) => {
                tracing::warn!(tenant = %tenant.name(), %error, "a store was not closed well")
            }
        }
    }
}

/// The pages that are in use.
pub(super) fn used(connection: &Connection) -> Result<u64, StoreError> {
    let count = |pragma| -> rusqlite::Result<i64> {
        connection.prepare_cached(pragma)?.query_row([], |row| row.get(0))
    };
    Ok((count("PRAGMA page_count")? - count("PRAGMA freelist_count")?).max(0) as u64)
}

fn make_folder(file: &Path) -> std::io::Result<()> {
    let folder = file.parent().unwrap_or(Path::new("."));
    // Only the host's own: what is in there is its tenants'.
    fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)
}

fn prepare(connection: &Connection, journal: &mut Journal) -> Result<(), StoreError> {
    let version = || connection.query_row("PRAGMA user_version", [], |row| row.get::<_, i64>(0));
    match version()? {
        0 => {
            journal.begin(connection);
            connection.execute_batch("BEGIN IMMEDIATE")?;
            // Somebody else may have made them since.
            if version()? == 0 {
                connection.execute_batch(&format!(
                    "{} PRAGMA user_version = {VERSION}",
                    SCHEMA.concat()
                ))?;
            }
            Ok(connection.execute_batch("COMMIT")?)
        }
        VERSION => Ok(()),
        other => Err(StoreError::Unavailable(format!(
            "it is of version {other}; this program reads version {VERSION}"
        ))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::TenantName;

    #[test]
    fn the_disk_is_waited_for_as_the_operator_says() {
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

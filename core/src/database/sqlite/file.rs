//! A tenant's database file and its journal.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError, RwLock};

use super::super::{DatabaseConfig, SqlError};
use super::guest_connection::{GuestConnection, PAGE_SIZE};
use crate::disk_errors;
use crate::journal::{self, journal_path};
use crate::mutex::lock;
use crate::tenant::{CpuShare, FairScheduler, Resource, Tenant};

/// Length of the journal, in bytes, above which readers are blocked until it is checkpointed. It
/// grows as long as there is always a reader.
const MAX_LOG: u64 = 64 << 20;

/// State shared by the threads of one database.
pub(super) struct DatabaseFile {
    pub(super) path: PathBuf,
    pub(super) config: DatabaseConfig,
    pub(super) tenant: Arc<Tenant>,
    /// Account that pays for statements and determines their turns.
    pub(super) share: Arc<CpuShare>,
    pub(super) turns: Arc<FairScheduler>,
    /// Held shared by readers, and exclusively by the writer while it checkpoints a long
    /// journal.
    pub(super) log_gate: RwLock<()>,
    /// True once the existing journal is known to belong to the file.
    log_checked: Mutex<bool>,
}

impl DatabaseFile {
    pub(super) fn new(
        path: PathBuf,
        config: DatabaseConfig,
        tenant: Arc<Tenant>,
        turns: Arc<FairScheduler>,
    ) -> Self {
        DatabaseFile {
            path,
            config,
            share: CpuShare::new(tenant.account().clone()),
            tenant,
            turns,
            log_gate: RwLock::new(()),
            log_checked: Mutex::new(false),
        }
    }

    /// Reports the file's size to the tenant's quota.
    pub(super) fn record_size(&self, connection: &GuestConnection) {
        if let Ok(pages) = connection.query_number("PRAGMA page_count") {
            self.tenant.set_kept(Resource::Database, pages * PAGE_SIZE);
        }
    }

    /// Reports the size without opening the file, which may exist from an earlier run.
    pub(super) fn record_size_on_disk(&self) {
        let size = std::fs::metadata(&self.path).map_or(0, |metadata| metadata.len());
        self.tenant.set_kept(Resource::Database, size);
    }

    /// Checkpoints the journal if it is long. If it is very long, readers are blocked meanwhile.
    pub(super) fn checkpoint_log(&self, connection: &mut GuestConnection) {
        if !disk_errors::has_free_space(&self.path) {
            // Makes the reserved space available again for the next deletion.
            let _ = connection.checkpoint();
            return;
        }

        connection.checkpoint_if_long();

        if connection.journal_length() > MAX_LOG {
            let _gate = self.log_gate.write().unwrap_or_else(PoisonError::into_inner);
            let _ = connection.checkpoint();
        }
    }

    /// Checks, before the file is opened for the first time, that the journal beside it belongs to
    /// it.
    pub(super) fn check_log(&self) -> Result<(), SqlError> {
        let mut checked = lock(&self.log_checked);
        if *checked {
            return Ok(());
        }

        journal::check(&self.path).map_err(|error| self.cannot_open(&error))?;
        *checked = true;

        Ok(())
    }

    /// True if the journal is empty or missing.
    pub(super) fn is_checkpointed(&self) -> bool {
        std::fs::metadata(journal_path(&self.path)).map_or(true, |metadata| metadata.len() == 0)
    }

    pub(super) fn cannot_open(&self, error: &dyn std::fmt::Display) -> SqlError {
        tracing::error!(tenant = %self.tenant.name(), path = %self.path.display(), %error, "cannot open a database");
        SqlError::Unavailable("it cannot be opened; the host's log has the details".into())
    }
}

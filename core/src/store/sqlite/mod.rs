//! Stores in SQLite files.
//!
//! Each tenant has one file, `<state>/tenants/<tenant>/store.sqlite`. SQLite keeps the file
//! consistent if the process is killed. The jobs of a store run in order, one at a time, on a
//! thread that may block ([`job_queue`]). Waiting jobs share one transaction, so many small writes
//! share the cost of one disk flush. A write is acknowledged only after its commit.
//!
//! Each table belongs to one file of this module, which defines it in its `SCHEMA`. Only the
//! functions of that file access the table. [`key_value_store`] and [`session_store`] run them as
//! the jobs of a [`SqliteStore`].

mod file;
mod job;
mod job_queue;
mod key_value;
mod key_value_store;
mod row_counts;
mod session_store;
mod sessions;
mod tasks;
mod transaction;

use std::path::Path;
use std::sync::Arc;
use std::time::Instant;

use rusqlite::{Connection, ErrorCode};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;

use super::{Durability, Permit, StoreError};
use crate::journal;
use crate::tenant::{CpuShare, Tenant, thread_time};
use file::StoreFile;
use job::JobKind;
use job_queue::JobQueue;

/// Name of a tenant's file.
const FILE_NAME: &str = "store.sqlite";

/// Limit of a tenant's concurrent jobs that hold data. Each holds it in memory, even after its
/// caller has gone; each also shares the cost of a commit.
const MAX_PERMITS: usize = 64;

/// The store of one tenant. A clone is shallow.
#[derive(Clone)]
pub(super) struct SqliteStore {
    jobs: Arc<JobQueue>,
    permits: Arc<Semaphore>,
    /// Account charged for the CPU time of key-value operations.
    payer: Option<Arc<CpuShare>>,
}

/// Checkpoints the journals left by a killed server below `root`. Blocks until `until` at the
/// latest.
pub(super) fn checkpoint_abandoned(root: &Path, until: Instant) {
    journal::checkpoint_abandoned(root, FILE_NAME, until);
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => StoreError::DiskFull,
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => StoreError::Busy,
            _ => StoreError::Unavailable(error.to_string()),
        }
    }
}

/// Reads an unsigned number. SQLite stores only signed 64-bit integers; a negative value reads as
/// 0.
fn column_u64(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

// === impl SqliteStore ===

impl SqliteStore {
    pub(super) fn new(
        root: &Path,
        durability: Durability,
        tenant: Arc<Tenant>,
        runtime: Option<Handle>,
    ) -> Self {
        let path = root.join(tenant.name().as_str()).join(FILE_NAME);
        let file = StoreFile::new(path, durability, tenant);

        SqliteStore {
            jobs: Arc::new(JobQueue::new(file, runtime)),
            permits: Arc::new(Semaphore::new(MAX_PERMITS)),
            payer: None,
        }
    }

    /// Returns a handle of the same store that charges key-value operations to `payer`.
    pub(super) fn charged_to(self, payer: Arc<CpuShare>) -> Self {
        SqliteStore { payer: Some(payer), ..self }
    }

    /// True if the store belongs to this tenant object.
    pub(super) fn is_of(&self, tenant: &Arc<Tenant>) -> bool {
        Arc::ptr_eq(self.jobs.tenant(), tenant)
    }

    /// Closes the file. Blocks until `until` at the latest.
    pub(super) fn close(&self, until: Instant) {
        self.jobs.close(until);
    }

    /// Runs a read. It sees the writes of all jobs submitted before.
    async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.jobs.submit(JobKind::Read, job).await
    }

    /// Runs a write, atomically. When it returns, the data survives the end of the process. A
    /// submitted job runs even if the caller stops waiting.
    async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(JobKind::Write, job).await
    }

    /// Runs a write that frees space or barely uses any. It is allowed even if the quota or the
    /// disk is full.
    async fn write_always<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.submit(JobKind::WriteAlways, job).await
    }

    async fn submit<T: Send + 'static>(
        &self,
        kind: JobKind,
        job: impl FnOnce(&Connection, &Tenant) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let tenant = self.jobs.tenant().clone();

        self.jobs.submit(kind, move |connection| job(connection, &tenant)).await
    }

    /// Runs a key-value operation and charges its CPU time. Holds a permit until the job has run,
    /// even if the caller stops waiting.
    async fn run<T: Send + 'static>(
        &self,
        kind: JobKind,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let permit = self.acquire_permit().await;
        let payer = self.payer.clone();

        let job = move |connection: &Connection| {
            let _permit = permit;
            let before = payer.is_some().then(thread_time);
            let outcome = job(connection);
            if let (Some(payer), Some(before)) = (payer, before) {
                payer.charge(thread_time().saturating_sub(before).as_nanos() as u64);
            }

            outcome
        };

        self.jobs.submit(kind, job).await
    }

    async fn acquire_permit(&self) -> Permit {
        // The semaphore is never closed.
        Permit { _permit: self.permits.clone().acquire_owned().await.ok() }
    }
}

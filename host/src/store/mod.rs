//! Data stored by the host for a tenant: key-value pairs, session states and deferred tasks.
//!
//! Each tenant has one SQLite file, `<state>/tenants/<tenant>/store.sqlite`. SQLite keeps the file
//! consistent if the process is killed. [`Stores`] returns the [`Store`] of a tenant. The jobs of a
//! store run in order, one at a time, on a thread that may block. Waiting jobs share one
//! transaction, so many small writes share the cost of one disk flush. A write is acknowledged only
//! after its commit.
//!
//! Each table belongs to one file of this module, which defines it in its `SCHEMA`. Only the
//! functions of that file access the table.

mod file;
mod in_memory;
mod job_queue;
pub mod key_value;
pub mod sessions;
pub mod tasks;
pub mod usage;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use file::Durability;
pub use in_memory::InMemoryStore;

use crate::journal;
use crate::model::{InferError, QuotaExceeded, TenantName};
use crate::tenant::{Resource, Tenant, UNLIMITED};
use file::{SCHEMA, StoreFile};
use job_queue::{JobKind, JobQueue};

const FILE_NAME: &str = "store.sqlite";

/// Reason for a failed read or write.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The tenant's quota for data is used up.
    #[error("there is no room for more data")]
    Full,
    /// The disk of the state directory is full, independently of the tenant's quota.
    #[error("the disk of the state directory is full")]
    DiskFull,
    /// The tenant's quota for sessions or tasks is used up.
    #[error(transparent)]
    QuotaExceeded(QuotaExceeded),
    /// Too many jobs are waiting.
    #[error("too much is being written at once; try again later")]
    Busy,
    /// The file cannot be used now. The text is for the operator and is not shown to callers.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
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

impl StoreError {
    /// Converts the error into the answer for a request of this tenant.
    pub fn into_infer_error(self, tenant: &Tenant) -> InferError {
        let is_unlimited = tenant.settings().quota.data == UNLIMITED;
        match self {
            StoreError::QuotaExceeded(refusal) => InferError::QuotaExceeded(refusal),
            StoreError::Full if !is_unlimited => {
                InferError::QuotaExceeded(tenant.refuse(Resource::Data))
            }
            StoreError::Busy => InferError::Overloaded,
            StoreError::Full | StoreError::DiskFull => {
                log_unavailable(tenant, StoreError::DiskFull.to_string())
            }
            StoreError::Unavailable(reason) => log_unavailable(tenant, reason),
        }
    }
}

/// Logs the reason for the operator. The caller's answer does not contain it.
fn log_unavailable(tenant: &Tenant, reason: String) -> InferError {
    tracing::error!(tenant = %tenant.name(), reason, "a tenant's store cannot be used");
    InferError::StoreUnavailable(reason)
}

/// Returns the time of the host's clock in milliseconds since 1970, the unit of all times in the
/// tables.
pub fn unix_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

/// Reads an unsigned number. SQLite stores only signed 64-bit integers; a negative value reads as
/// 0.
fn column_u64(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

/// The stores of all tenants. A clone is shallow.
#[derive(Clone)]
pub struct Stores {
    root: Arc<PathBuf>,
    durability: Durability,
    /// Runtime that runs the jobs. Guest threads have idle priority and must not run them.
    runtime: Option<Handle>,
    open: Arc<Mutex<HashMap<TenantName, Store>>>,
}

impl Stores {
    /// Creates the stores below `root`, one folder per tenant. Files are created at first use.
    pub fn new(root: PathBuf, durability: Durability) -> Self {
        // Outside a runtime, jobs are only submitted from ordinary threads.
        let runtime = Handle::try_current().ok();
        Stores { root: Arc::new(root), durability, runtime, open: Arc::default() }
    }

    /// Returns the store of a tenant. A tenant that was removed and added again gets a new store.
    /// Both stores share the file while the old one is still in use; SQLite allows one writer at a
    /// time.
    pub fn for_tenant(&self, tenant: &Arc<Tenant>) -> Store {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) =
            open.get(tenant.name()).filter(|known| Arc::ptr_eq(known.pump.tenant(), tenant))
        {
            return known.clone();
        }

        let made = self.create(tenant);
        // A late call of a removed tenant must not register a store in the name of its successor.
        if !tenant.is_removed() {
            open.insert(tenant.name().clone(), made.clone());
        }

        made
    }

    fn create(&self, tenant: &Arc<Tenant>) -> Store {
        let path = self.root.join(tenant.name().as_str()).join(FILE_NAME);
        let file = StoreFile::new(path, self.durability, tenant.clone());
        let pump = Arc::new(JobQueue::new(file, self.runtime.clone()));
        Store { pump, guest_permits: Arc::new(Semaphore::new(MAX_GUEST_JOBS)) }
    }

    /// Closes every store and folds its journal into its file. Also folds the journals left by a
    /// killed server. Blocks until `until` at the latest.
    pub fn close(&self, until: Instant) {
        let open: Vec<_> = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.drain().map(|(_, store)| store).collect()
        };
        open.iter().for_each(|store| store.pump.close(until));
        journal::checkpoint_abandoned(&self.root, FILE_NAME, until);
    }

    /// Removes the store of a tenant that was removed. The file stays.
    pub fn remove(&self, tenant: &TenantName) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// Storage of one tenant. A clone is shallow.
#[derive(Clone)]
pub struct Store {
    pump: Arc<JobQueue>,
    guest_permits: Arc<Semaphore>,
}

/// Limit of a tenant's concurrent jobs from guests. Each waiting job holds its data in memory, even
/// after its guest has ended; each also shares the cost of a commit.
const MAX_GUEST_JOBS: usize = 64;

impl Store {
    /// Waits for a permit to submit a job from a guest. The permit is returned when the result is
    /// dropped.
    pub async fn acquire_guest_permit(&self) -> Option<OwnedSemaphorePermit> {
        // Not closed while the store exists.
        self.guest_permits.clone().acquire_owned().await.ok()
    }

    /// Runs a read. It sees the writes of all jobs submitted before.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.submit(JobKind::Read, job).await
    }

    /// Runs a write, atomically. When it returns, the data survives the end of the process. A
    /// submitted job runs even if the caller stops waiting.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.submit(JobKind::Write, job).await
    }

    /// Runs a write that frees or barely uses space, such as a deletion. The tenant's quota for
    /// data is not checked.
    pub async fn write_over_quota<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.submit(JobKind::WriteOverQuota, job).await
    }
}

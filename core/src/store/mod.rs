//! Data stored by the host for a tenant: key-value pairs, session states and deferred tasks.
//!
//! The traits [`KeyValueStore`] and [`SessionStore`] define the operations. Each operation is
//! atomic: it takes owned data and is one transaction of its backend. So a backend may be a file, a
//! server or memory. [`Stores`] returns the stores of a tenant. The `sqlite` backend keeps them in
//! one file per tenant; only that module names SQLite. [`InMemoryKeyValue`] keeps nothing and
//! serves the validation of versions.

mod in_memory;
pub mod key_value;
mod session_store;
pub mod sessions;
pub mod sqlite;
pub mod tasks;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, MutexGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use tokio::runtime::Handle;
use tokio::sync::OwnedSemaphorePermit;

pub use in_memory::InMemoryKeyValue;
pub use key_value::KeyValueStore;
pub use session_store::{CallCommit, ModelUsage, SessionStore};

pub use crate::journal::Durability;
use crate::model::{InferError, QuotaExceeded, TenantName};
use crate::mutex::lock;
use crate::tenant::{CpuShare, Resource, Tenant, UNLIMITED};
use sqlite::SqliteStore;

/// Reason for a failed operation.
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
    /// Too many operations are waiting.
    #[error("too much is being written at once; try again later")]
    Busy,
    /// The store cannot be used now. The text is for the operator and is not shown to callers.
    #[error("the store cannot be used: {0}")]
    Unavailable(String),
}

/// Durability of the tenants' stores.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DataConfig {
    /// Durability of acknowledged writes against power failure.
    pub durability: Durability,
}

/// The right to commit. A tenant has a limited number of permits, because a commit in progress
/// holds its data in memory, even after its request has ended.
pub struct Permit {
    _permit: Option<OwnedSemaphorePermit>,
}

/// The stores of all tenants. A clone is shallow.
#[derive(Clone)]
pub struct Stores {
    root: Arc<PathBuf>,
    durability: Durability,
    /// Runtime that runs the jobs. Guest threads have idle priority and must not run them.
    runtime: Option<Handle>,
    open: Arc<Mutex<HashMap<TenantName, SqliteStore>>>,
}

/// Returns the time of the host's clock in milliseconds since 1970, the unit of all stored times.
pub fn unix_millis() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

// === impl StoreError ===

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

// === impl Stores ===

impl Stores {
    /// Creates the stores below `root`, one folder per tenant. Files are created at first use.
    pub fn new(root: PathBuf, durability: Durability) -> Self {
        // Outside a runtime, jobs are only submitted from ordinary threads.
        let runtime = Handle::try_current().ok();

        Stores { root: Arc::new(root), durability, runtime, open: Arc::default() }
    }

    /// Returns the key-value pairs of a tenant.
    pub fn key_values(&self, tenant: &Arc<Tenant>) -> Arc<dyn KeyValueStore> {
        Arc::new(self.for_tenant(tenant))
    }

    /// Returns the key-value pairs of a tenant, for operations whose CPU time is charged to
    /// `payer`.
    pub fn charged_key_values(
        &self,
        tenant: &Arc<Tenant>,
        payer: Arc<CpuShare>,
    ) -> Arc<dyn KeyValueStore> {
        Arc::new(self.for_tenant(tenant).charged_to(payer))
    }

    /// Returns the sessions and deferred tasks of a tenant.
    pub fn sessions(&self, tenant: &Arc<Tenant>) -> Arc<dyn SessionStore> {
        Arc::new(self.for_tenant(tenant))
    }

    /// Closes every store. Blocks until `until` at the latest.
    pub fn close(&self, until: Instant) {
        let open: Vec<_> = self.lock().drain().map(|(_, store)| store).collect();

        open.iter().for_each(|store| store.close(until));
        sqlite::checkpoint_abandoned(&self.root, until);
    }

    /// Removes the store of a tenant that was removed. Its data stays.
    pub fn remove(&self, tenant: &TenantName) {
        self.lock().remove(tenant);
    }

    /// Returns the store of a tenant. A tenant that was removed and added again gets a new store.
    /// Both stores share the file while the old one is still in use; SQLite allows one writer at a
    /// time.
    fn for_tenant(&self, tenant: &Arc<Tenant>) -> SqliteStore {
        let mut open = self.lock();
        if let Some(store) = open.get(tenant.name()).filter(|store| store.is_of(tenant)) {
            return store.clone();
        }

        let runtime = self.runtime.clone();
        let store = SqliteStore::new(&self.root, self.durability, tenant.clone(), runtime);
        // A late call of a removed tenant must not register a store in the name of its successor.
        if !tenant.is_removed() {
            open.insert(tenant.name().clone(), store.clone());
        }

        store
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<TenantName, SqliteStore>> {
        lock(&self.open)
    }
}

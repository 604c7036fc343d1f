//! What the host keeps for a tenant: values by key, the state of sessions, tasks for later.
//!
//! Each tenant has one file of its own, `<state>/tenants/<tenant>/store.sqlite`, which SQLite keeps
//! whole whatever happens to the process. [`Stores`] finds a tenant's [`Store`]; whoever has one
//! hands it jobs, which it works off in order, one at a time, where blocking is allowed ([`pump`]).
//! What waits goes into one transaction, so that many small writes share the cost of reaching the
//! disk, and nobody hears of success before it has.
//!
//! The tables are each one's own: every file here that has some names them in its `SCHEMA`, and the
//! functions in it are the only ones that touch them.

mod file;
pub mod keys;
mod pump;
mod scratch;
pub mod sessions;
pub mod tasks;
pub mod totals;

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use rusqlite::{Connection, ErrorCode};
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use file::Durability;
pub use scratch::Scratch;

use crate::journal;
use crate::model::{InferError, QuotaExceeded, TenantName};
use crate::tenant::{Resource, Tenant, UNLIMITED};
use file::{SCHEMA, StoreFile};
use pump::{Kind, Pump};

/// The name of a tenant's file.
const FILE: &str = "store.sqlite";

/// Why something was not kept, or not found.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// The tenant keeps as much as it may.
    #[error("there is no room for more data")]
    Full,
    /// The disk is full, whatever the tenant keeps.
    #[error("the disk of the state directory is full")]
    DiskFull,
    /// The tenant keeps as many of something as it may.
    #[error(transparent)]
    Refused(QuotaExceeded),
    /// Too many jobs wait.
    #[error("too much is being written at once; try again later")]
    Busy,
    /// The file cannot be used now. The text is for the operator.
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
    /// What it means for a request of that tenant's.
    pub fn for_request(self, tenant: &Tenant) -> InferError {
        let is_unlimited = tenant.settings().quota.data == UNLIMITED;
        match self {
            StoreError::Refused(refusal) => InferError::QuotaExceeded(refusal),
            StoreError::Full if !is_unlimited => {
                InferError::QuotaExceeded(tenant.refuse(Resource::Data))
            }
            StoreError::Busy => InferError::Overloaded,
            StoreError::Full | StoreError::DiskFull => {
                unavailable(tenant, StoreError::DiskFull.to_string())
            }
            StoreError::Unavailable(reason) => unavailable(tenant, reason),
        }
    }
}

/// The caller is not told more than that; the operator finds the reason in the log.
fn unavailable(tenant: &Tenant, reason: String) -> InferError {
    tracing::error!(tenant = %tenant.name(), reason, "a tenant's store cannot be used");
    InferError::StoreUnavailable(reason)
}

/// Milliseconds of the host's clock since 1970: what times in the tables are.
pub fn since_1970() -> i64 {
    SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_millis() as i64)
}

/// A number that is never negative. SQLite knows no others than 64 bits with a sign.
fn count(row: &rusqlite::Row<'_>, column: usize) -> rusqlite::Result<u64> {
    Ok(row.get::<_, i64>(column)?.max(0) as u64)
}

/// The stores of all tenants. A clone is shallow.
#[derive(Clone)]
pub struct Stores {
    root: Arc<PathBuf>,
    durability: Durability,
    /// Where jobs are worked off, whoever hands them in: guests' own threads run only where nothing
    /// else wants to.
    runtime: Option<Handle>,
    open: Arc<Mutex<HashMap<TenantName, Store>>>,
}

impl Stores {
    /// Stores below that directory, one folder for each tenant. Nothing is made before it is
    /// needed.
    pub fn new(root: PathBuf, durability: Durability) -> Self {
        // Without one, nobody hands in a job from elsewhere.
        let runtime = Handle::try_current().ok();
        Stores { root: Arc::new(root), durability, runtime, open: Arc::default() }
    }

    /// The store of a tenant. One that was removed and is there again is another one, with a store
    /// of its own; while the old one is still in use they share the file, in which SQLite lets one
    /// write at a time.
    pub fn of(&self, tenant: &Arc<Tenant>) -> Store {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) =
            open.get(tenant.name()).filter(|known| Arc::ptr_eq(known.pump.tenant(), tenant))
        {
            return known.clone();
        }
        let made = self.make(tenant);
        // What is still under way for a tenant that is no more must not stand in the way of its
        // successor.
        if !tenant.is_dismissed() {
            open.insert(tenant.name().clone(), made.clone());
        }
        made
    }

    fn make(&self, tenant: &Arc<Tenant>) -> Store {
        let path = self.root.join(tenant.name().as_str()).join(FILE);
        let file = StoreFile::new(path, self.durability, tenant.clone());
        let pump = Arc::new(Pump::new(file, self.runtime.clone()));
        Store { pump, places: Arc::new(Semaphore::new(PLACES)) }
    }

    /// Closes every store, with everything in its file, until then at the latest. Those that nobody
    /// has opened since a server was killed are folded too. Blocks.
    pub fn close(&self, until: Instant) {
        let open: Vec<_> = {
            let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
            open.drain().map(|(_, store)| store).collect()
        };
        open.iter().for_each(|store| store.pump.close(until));
        journal::fold_leftovers(&self.root, FILE, until);
    }

    /// Forgets the store of a tenant that is gone. Its file stays.
    pub fn forget(&self, tenant: &TenantName) {
        self.open.lock().unwrap_or_else(PoisonError::into_inner).remove(tenant);
    }
}

/// What the host keeps for one tenant. A clone is shallow.
#[derive(Clone)]
pub struct Store {
    pump: Arc<Pump>,
    places: Arc<Semaphore>,
}

/// Jobs of a tenant's guests that may wait or be carried out at once. Each holds what it is to
/// write, also when its guest is gone; and each is one more that shares the cost of a commit.
const PLACES: usize = 64;

impl Store {
    /// Waits for the right to hand in a job that a guest has made up, until the result is dropped.
    pub async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.places.clone().acquire_owned().await.ok()
    }

    /// Reads. Sees everything that was written by jobs handed in before.
    pub async fn read<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.run(Kind::Reads, job).await
    }

    /// Writes, as a whole or not at all. When it returns, what was written survives the end of the
    /// process. A job that has been handed in is carried out even if nobody waits for it any more.
    pub async fn write<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.run(Kind::Writes, job).await
    }

    /// Writes what hardly takes room and must not wait for any, whatever the tenant's quota for
    /// data says.
    pub async fn write_regardless<T: Send + 'static>(
        &self,
        job: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        self.pump.run(Kind::WritesRegardless, job).await
    }
}

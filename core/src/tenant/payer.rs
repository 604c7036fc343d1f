//! The payer of host work: the share it is charged to, and a limit on concurrent work.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{CpuAccount, CpuShare};

/// Pieces of host work of one payer that run at the same time.
const MAX_CONCURRENT_WORK: usize = 4;

/// The payer of host work.
#[derive(Debug)]
pub struct Payer {
    share: Arc<CpuShare>,
    permits: Arc<Semaphore>,
}

impl Payer {
    /// A payer whose work is charged to this tenant, like that of one more model.
    pub(super) fn new(account: Arc<CpuAccount>) -> Self {
        Payer {
            share: CpuShare::new(account),
            permits: Arc::new(Semaphore::new(MAX_CONCURRENT_WORK)),
        }
    }

    /// The payer of work without a tenant.
    pub(super) fn for_host() -> Self {
        Payer::new(CpuAccount::new(1))
    }

    /// The share for work without a model.
    pub fn share(&self) -> &Arc<CpuShare> {
        &self.share
    }

    /// Waits until another piece of work may begin, in order.
    pub(super) async fn acquire(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.permits.clone().acquire_owned().await.ok()
    }
}

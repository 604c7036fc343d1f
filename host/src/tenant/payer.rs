//! The payer of host work: the share it is charged to, and a limit on concurrent work.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Account, Share};

/// Pieces of host work of one payer that run at the same time.
const AT_ONCE: usize = 4;

/// The payer of host work.
#[derive(Debug)]
pub struct Payer {
    share: Arc<Share>,
    places: Arc<Semaphore>,
}

impl Payer {
    /// A payer whose work is charged to this tenant, like that of one more model.
    pub(super) fn new(account: Arc<Account>) -> Self {
        Payer { share: Share::new(account), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// The payer of work without a tenant.
    pub(super) fn nobody() -> Self {
        Payer::new(Account::new(1))
    }

    /// The share for work without a model.
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Waits until another piece of work may begin, in order.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.places.clone().acquire_owned().await.ok()
    }
}

//! For whom the host works: who pays, and how much of the work is under way at once.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::{Account, Share};

/// Pieces of work for one payer that are under way at once.
const AT_ONCE: usize = 4;

/// For whom the host works.
#[derive(Debug)]
pub struct Payer {
    share: Arc<Share>,
    places: Arc<Semaphore>,
}

impl Payer {
    /// A payer whose work is charged to that account, as one model more.
    pub(super) fn new(account: Arc<Account>) -> Self {
        Payer { share: Share::new(account), places: Arc::new(Semaphore::new(AT_ONCE)) }
    }

    /// A payer of its own, for work that belongs to no tenant.
    pub(super) fn nobody() -> Self {
        Payer::new(Account::new(1))
    }

    /// What work is charged to that belongs to no model.
    pub fn share(&self) -> &Arc<Share> {
        &self.share
    }

    /// Waits until another piece of work may begin. Those that wait first are first.
    pub(super) async fn place(&self) -> Option<OwnedSemaphorePermit> {
        // The semaphore is never closed.
        self.places.clone().acquire_owned().await.ok()
    }
}

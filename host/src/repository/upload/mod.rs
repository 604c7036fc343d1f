//! Versions that come over the network: received beside the models, and renamed in once they are
//! known to be good.
//!
//! [`Uploads`] belongs to one repository. An upload is written into a folder of its own in the
//! hidden folder [`staging`] keeps in the repository's root, on the same file system as the models
//! and invisible to every look. Received whole, it is a [`Received`]: it tells the
//! [`Candidate`](super::Candidate) that it would be, with the settings and sidecars that lie at its
//! place already, so that it can be loaded before it is put there. Putting it there is one rename,
//! of a new version's folder or of the file over the one before. From then on it is a file that
//! somebody dropped: nothing else here depends on how it came.
//!
//! Whoever may write into a repository must not be able to make the host write anywhere else. So
//! names are checked before they are paths ([`Target`]), every folder is opened from the root down
//! following no link, and what is not plainly a folder or a file is refused ([`place`]).
//!
//! All of this is file work and blocks.

mod error;
mod place;
mod receive;
mod received;
mod staging;
mod target;

#[cfg(test)]
mod tests;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use error::UploadError;
pub use place::Put;
pub use receive::Upload;
pub use received::Received;
pub use target::Target;

use super::effort::Effort;
use super::root::Root;
use super::tree::{MAX_ENTRIES, Tree};
use crate::model::QuotaExceeded;
use crate::tenant::{Held, Resource, Tenant};
use staging::Staged;

/// Uploads of one tenant at once. Each may hold a compile child for minutes; more would only wait
/// for each other.
const MAX_UPLOADS: usize = 4;

/// The uploads into one repository.
#[derive(Debug)]
pub struct Uploads {
    root: Arc<Root>,
    effort: Effort,
    slots: Arc<Semaphore>,
    /// Held while something is put into its place or taken away, so that each of these sees what it
    /// changes.
    turn: Mutex<()>,
}

/// What an upload holds from its beginning to its end.
struct Holding {
    uploads: Arc<Uploads>,
    tenant: Arc<Tenant>,
    target: Target,
    tree: Tree,
    staged: Staged,
    storage: Held,
    _slot: OwnedSemaphorePermit,
}

impl Uploads {
    /// The uploads into the repository of that root, which cost that effort.
    pub(super) fn new(root: Arc<Root>, effort: Effort) -> Arc<Self> {
        Arc::new(Uploads {
            root,
            effort,
            slots: Arc::new(Semaphore::new(MAX_UPLOADS)),
            turn: Mutex::default(),
        })
    }

    /// Begins an upload of `announced` bytes; 0 if that is not known. Fails if it cannot be put
    /// into its place as things are, or if the tenant has no room for it.
    pub fn begin(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        target: Target,
        announced: u64,
    ) -> Result<Upload, UploadError> {
        let slot = self.slot()?;
        let tree = self.tree()?;
        place::find(&tree, &target)?;
        receive::check_size(tenant, announced)?;
        // What cannot fit need not be sent. It is taken for good as it comes, since an announcement
        // costs nothing.
        drop(tenant.take(Resource::Storage, announced)?);
        let (staged, storage) = (Staged::new(&tree)?, tenant.take(Resource::Storage, 0)?);
        let (uploads, tenant) = (self.clone(), tenant.clone());
        Upload::begin(Holding { uploads, tenant, target, tree, staged, storage, _slot: slot })
    }

    /// Takes a version's folder away, and the model's if that leaves nothing in it.
    pub fn remove(&self, target: &Target) -> Result<(), UploadError> {
        let tree = self.tree()?;
        let hidden = staging::deleted_name();
        {
            let _turn = self.turn();
            place::hide(&tree, target, &hidden)?;
        }
        staging::remove(tree.folder(), &hidden);
        Ok(())
    }

    /// Removes what a server that was killed has left behind. What is being received now stays.
    pub fn clear_leftovers(&self) {
        if let Ok(tree) = self.tree() {
            staging::clear(&tree);
        }
    }

    fn tree(&self) -> Result<Tree, UploadError> {
        Ok(Tree::new(self.root.open()?, MAX_ENTRIES)?)
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, UploadError> {
        let refused =
            QuotaExceeded { quota: "uploads", limit: MAX_UPLOADS as u64, retry_after_seconds: 1 };
        self.slots.clone().try_acquire_owned().map_err(|_| refused.into())
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

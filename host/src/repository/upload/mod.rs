//! Uploads of versions: received next to the models, and renamed into place once validated.
//!
//! An [`Uploads`] belongs to one repository. An upload is written into its own staging directory, in a
//! hidden folder ([`staging`]) of the repository's root, on the same file system as the models and
//! ignored by scans. Once complete it is a [`Received`], which returns the
//! [`Candidate`](super::Candidate) that it will be, with the settings and sidecars already present, so
//! that it can be loaded before it is placed. It is placed by one rename, of a new version's folder or
//! of the file over the present one. From then on it is an ordinary file in the repository.
//!
//! A client that may write into a repository must not be able to make the host write anywhere else. So
//! names are checked before they become paths ([`Target`]), every folder is opened from the root down
//! following no link, and any entry that is not a regular file or folder is refused ([`place`]).
//!
//! Every function does file I/O and blocks.

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

/// Maximum number of concurrent uploads of one tenant. Each may occupy a compile process for
/// minutes; more would only wait for each other.
const MAX_UPLOADS: usize = 4;

/// The uploads into one repository.
#[derive(Debug)]
pub struct Uploads {
    root: Arc<Root>,
    effort: Effort,
    slots: Arc<Semaphore>,
    /// Held while a version is placed or removed, so that each such step sees the result of the
    /// previous one.
    turn: Mutex<()>,
}

/// Resources of an upload, held until it ends.
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
    /// Creates the uploads of a repository. `effort` is charged for them.
    pub(super) fn new(root: Arc<Root>, effort: Effort) -> Arc<Self> {
        Arc::new(Uploads {
            root,
            effort,
            slots: Arc::new(Semaphore::new(MAX_UPLOADS)),
            turn: Mutex::default(),
        })
    }

    /// Begins an upload of `announced` bytes; 0 if the size is unknown. Fails if the target cannot
    /// be replaced now, or if the tenant's quota is too small.
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
        // Rejects a body that cannot fit before it is sent. The quota is taken as the bytes arrive,
        // since an announcement alone uses no space.
        drop(tenant.take(Resource::Storage, announced)?);
        let (staged, storage) = (Staged::new(&tree)?, tenant.take(Resource::Storage, 0)?);
        let (uploads, tenant) = (self.clone(), tenant.clone());
        Upload::begin(Holding { uploads, tenant, target, tree, staged, storage, _slot: slot })
    }

    /// Removes a version's folder, and the model's folder if it becomes empty.
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

    /// Removes staging directories left by a killed server. Uploads in progress stay.
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

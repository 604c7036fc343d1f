//! Uploads of versions: received next to the models, and renamed into place once validated.
//!
//! The body is a component, a model file, or a tar archive of the version's whole folder
//! ([`archive`]).
//!
//! An [`Uploads`] belongs to one repository. An upload is written into its own staging directory,
//! in a hidden folder ([`staging_dir`]) of the repository's root, on the same file system as the
//! models and ignored by scans. Once complete it is a [`ReceivedUpload`], which returns the
//! [`Candidate`](super::Candidate) that it will be, with the settings and sidecars already
//! present, so that it can be loaded before it is placed. It is placed by one rename, of a new
//! version's folder or of the file over the present one. From then on it is an ordinary file in the
//! repository.
//!
//! A client that may write into a repository must not be able to make the host write anywhere else.
//! So names are checked before they become paths ([`UploadTarget`]), every folder is opened from
//! the root down following no link, and any entry that is not a regular file or folder is refused
//! ([`version_dir`]).
//!
//! Every function does file I/O and blocks.

mod archive;
mod error;
#[cfg(fuzzing)]
pub(super) mod fuzzing;
mod gzip;
mod limits;
mod receive;
mod received;
mod staged_files;
mod staging_dir;
mod target;
mod version_dir;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

pub use error::UploadError;
pub use receive::Upload;
pub use received::ReceivedUpload;
pub use target::UploadTarget;
pub use version_dir::PutOutcome;

use super::confined_dir::{ConfinedDir, MAX_UPLOAD_ENTRIES};
use super::file_cache::FileRole;
use super::root::RepositoryRoot;
use super::runtimes::Runtimes;
use super::scan_meter::ScanMeter;
use crate::model::{ModelName, QuotaExceeded, Version};
use crate::mutex::lock;
use crate::tenant::{QuotaGuard, Resource, Tenant};
use staging_dir::StagingDir;

/// Maximum number of concurrent uploads of one tenant. Each may occupy a compile process for
/// minutes; more would only wait for each other.
const MAX_UPLOADS: usize = 4;

/// The uploads into one repository.
#[derive(Debug)]
pub struct Uploads {
    root: Arc<RepositoryRoot>,
    runtimes: Runtimes,
    meter: ScanMeter,
    slots: Arc<Semaphore>,
    /// Held while a version is placed or removed, so that each such step sees the result of the
    /// previous one.
    lock: Mutex<()>,
}

/// The body of an upload, as the head of its request announces it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Announced {
    /// Its size in bytes; 0 if unknown.
    pub size: u64,
    /// It is an archive, whose files have sizes of their own.
    pub is_archive: bool,
}

/// Resources of an upload, held until it ends.
struct UploadContext {
    uploads: Arc<Uploads>,
    tenant: Arc<Tenant>,
    target: UploadTarget,
    tree: ConfinedDir,
    staged: Arc<StagingDir>,
    announced: Announced,
    storage: QuotaGuard,
    _slot: OwnedSemaphorePermit,
}

impl Uploads {
    /// Creates the uploads of a repository, whose model files `runtimes` serve. `meter` charges the
    /// tenant.
    pub(super) fn new(
        root: Arc<RepositoryRoot>,
        runtimes: Runtimes,
        meter: ScanMeter,
    ) -> Arc<Self> {
        Arc::new(Uploads {
            root,
            runtimes,
            meter,
            slots: Arc::new(Semaphore::new(MAX_UPLOADS)),
            lock: Mutex::default(),
        })
    }

    /// Begins an upload. Fails if the target cannot be replaced now, or if the tenant's quota is
    /// too small for what is announced.
    pub fn begin(
        self: &Arc<Self>,
        tenant: &Arc<Tenant>,
        target: UploadTarget,
        announced: Announced,
    ) -> Result<Upload, UploadError> {
        let slot = self.slot()?;
        let tree = self.tree()?;
        version_dir::find(&tree, &target)?;
        if !announced.is_archive {
            limits::check_size(tenant, announced.size, FileRole::ModelFile)?;
        }

        // Rejects a body that cannot fit before it is sent. The quota is taken as the bytes arrive,
        // since an announcement alone uses no space.
        drop(tenant.take(Resource::Storage, announced.size)?);

        Ok(Upload::begin(UploadContext {
            uploads: self.clone(),
            tenant: tenant.clone(),
            target,
            staged: Arc::new(StagingDir::new(&tree)?),
            announced,
            storage: tenant.take(Resource::Storage, 0)?,
            tree,
            _slot: slot,
        }))
    }

    /// Removes a version's folder, and the model's folder if it becomes empty.
    pub fn remove(&self, target: &UploadTarget) -> Result<(), UploadError> {
        let tree = self.tree()?;
        let hidden = staging_dir::new_deleted_name();

        let lock = self.lock();
        version_dir::move_aside(&tree, target, &hidden)?;
        drop(lock);

        staging_dir::remove(tree.folder(), &hidden);
        Ok(())
    }

    /// Removes versions of a model, or of an interceptor, in this order. Returns those that could
    /// not be removed, each with the reason.
    pub(super) fn prune(
        &self,
        name: &ModelName,
        versions: &[Version],
    ) -> BTreeMap<Version, String> {
        let remove = |version: &Version| {
            match self.remove(&UploadTarget { name: name.clone(), version: *version }) {
                // Another program was faster.
                Ok(()) | Err(UploadError::NotFound) => None,
                Err(error) => Some((*version, prune_fault(name, &error))),
            }
        };
        versions.iter().filter_map(remove).collect()
    }

    /// Removes staging directories left by a killed server. Uploads in progress stay.
    pub fn remove_abandoned(&self) {
        if let Ok(tree) = self.tree() {
            staging_dir::remove_abandoned(&tree);
        }
    }

    fn tree(&self) -> Result<ConfinedDir, UploadError> {
        Ok(ConfinedDir::new(self.root.open()?, MAX_UPLOAD_ENTRIES)?)
    }

    fn slot(&self) -> Result<OwnedSemaphorePermit, UploadError> {
        let refused =
            QuotaExceeded { quota: "uploads", limit: MAX_UPLOADS as u64, retry_after_seconds: 1 };
        self.slots.clone().try_acquire_owned().map_err(|_| refused.into())
    }

    fn lock(&self) -> MutexGuard<'_, ()> {
        lock(&self.lock)
    }
}

/// Returns the reason why a version cannot be removed, and the remedy.
fn prune_fault(name: &ModelName, error: &UploadError) -> String {
    let remedy = match error {
        UploadError::Conflict(_) => "remove the version by hand",
        _ => "let the server write to the repository",
    };
    format!("{error}; {remedy}, or remove `prune` from {name}/model.toml")
}

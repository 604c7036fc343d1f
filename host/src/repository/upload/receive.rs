//! Receiving a component: to disk piece by piece, within the tenant's quota.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};
use tokio::sync::OwnedSemaphorePermit;

use super::received::Received;
use super::staging::Staged;
use super::{Target, UploadError, Uploads};
use crate::model::{LoadError, Stage};
use crate::repository::contents::MAX_COMPONENT;
use crate::repository::tree::{Tree, stamp};
use crate::repository::{Digest, Unwhole, check_whole};
use crate::tenant::{Held, Resource, Tenant};

/// An upload that is being received. Dropping it leaves nothing behind.
pub struct Upload {
    uploads: Arc<Uploads>,
    tenant: Arc<Tenant>,
    target: Target,
    tree: Tree,
    staged: Staged,
    file: File,
    hasher: Sha256,
    size: u64,
    storage: Held,
    slot: OwnedSemaphorePermit,
}

impl Upload {
    pub(super) fn begin(
        uploads: Arc<Uploads>,
        tenant: &Arc<Tenant>,
        target: Target,
        tree: Tree,
        slot: OwnedSemaphorePermit,
        announced: u64,
    ) -> Result<Self, UploadError> {
        check_size(tenant, announced)?;
        // What cannot fit need not be sent. It is taken for good as it comes, since an announcement costs nothing.
        drop(tenant.take(Resource::Storage, announced)?);
        let storage = tenant.take(Resource::Storage, 0)?;
        let staged = Staged::new(&tree)?;
        let file = staged.create_component()?;
        let (tenant, hasher) = (tenant.clone(), Sha256::new());
        Ok(Upload { uploads, tenant, target, tree, staged, file, hasher, size: 0, storage, slot })
    }

    /// Takes the next piece. Fails if the component is or becomes larger than it may be, or as the file system
    /// does; it is of no use then.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let length = piece.len() as u64;
        let size = self.size.saturating_add(length);
        check_size(&self.tenant, size)?;
        self.storage.grow(length)?;
        self.file.write_all(piece)?;
        self.hasher.update(piece);
        self.size = size;
        Ok(())
    }

    /// Takes it for whole. Fails if it is not a whole component.
    pub fn finish(self) -> Result<Received, UploadError> {
        check_whole(&self.file, self.size).map_err(unfit)?;
        self.file.sync_all()?;
        // The name of the file must survive with it.
        rustix::fs::fsync(self.staged.version()?)?;
        let changed = stamp(&self.file.metadata()?).changed;
        let Upload { uploads, tenant, target, tree, staged, hasher, size, storage, slot, .. } = self;
        let digest = Digest::from(hasher);
        Ok(Received::new(uploads, tenant, target, tree, staged, (digest, size, changed), (storage, slot)))
    }
}

fn check_size(tenant: &Tenant, size: u64) -> Result<(), UploadError> {
    tenant.settings().quota.check_artifact(size).map_err(|refusal| UploadError::TooLarge {
        limit: refusal.limit,
        allowed_by: "the tenant's quota artifact_size",
    })?;
    if size > MAX_COMPONENT {
        return Err(UploadError::TooLarge { limit: MAX_COMPONENT, allowed_by: "the server" });
    }
    Ok(())
}

fn unfit(why: Unwhole) -> UploadError {
    match why {
        Unwhole::Unreadable(error) => error.into(),
        why => LoadError::new(Stage::Validate, why.to_string()).into(),
    }
}

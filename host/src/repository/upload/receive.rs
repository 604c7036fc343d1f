//! Receiving a component: to disk piece by piece, within the tenant's quota.

use std::fs::File;
use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::received::Received;
use super::{Holding, UploadError};
use crate::model::{LoadError, Stage};
use crate::repository::contents::MAX_COMPONENT;
use crate::repository::tree::stamp;
use crate::repository::{Digest, Unwhole, check_whole};
use crate::tenant::Tenant;

/// An upload that is being received. Dropping it leaves nothing behind.
pub struct Upload {
    holding: Holding,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Upload {
    pub(super) fn begin(holding: Holding) -> Result<Self, UploadError> {
        let file = holding.staged.create_component()?;
        Ok(Upload { holding, file, hasher: Sha256::new(), size: 0 })
    }

    /// Takes the next piece. Fails if the component is or becomes larger than it may be, or as the
    /// file system does; it is of no use then.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let length = piece.len() as u64;
        let size = self.size.saturating_add(length);
        check_size(&self.holding.tenant, size)?;
        self.holding.storage.grow(length)?;
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
        rustix::fs::fsync(self.holding.staged.version()?)?;
        let changed = stamp(&self.file.metadata()?).changed;
        let Upload { holding, hasher, size, .. } = self;
        Ok(Received::new(holding, Digest::from(hasher), size, changed))
    }
}

/// Checks the size that a component has, or is said to have.
pub(super) fn check_size(tenant: &Tenant, size: u64) -> Result<(), UploadError> {
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

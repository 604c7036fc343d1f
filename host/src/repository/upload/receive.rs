//! Writes the body of an upload to disk piece by piece, within the tenant's quota.

use std::fs::File;
use std::io::Write;

use sha2::{Digest as _, Sha256};

use super::received::ReceivedUpload;
use super::{UploadContext, UploadError};
use crate::model::{LoadError, Stage};
use crate::repository::confined_dir::stamp;
use crate::repository::file_cache::MAX_COMPONENT_SIZE;
use crate::repository::{Digest, IncompleteComponent, check_whole};
use crate::tenant::Tenant;

/// An upload in progress. Dropping it removes everything written.
pub struct Upload {
    context: UploadContext,
    file: File,
    hasher: Sha256,
    size: u64,
}

impl Upload {
    pub(super) fn begin(context: UploadContext) -> Result<Self, UploadError> {
        let file = context.staged.create_component()?;
        Ok(Upload { context, file, hasher: Sha256::new(), size: 0 })
    }

    /// Writes the next piece of the body. Fails if the component exceeds a limit, and on an I/O
    /// error; the upload must then be dropped.
    pub fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let length = piece.len() as u64;
        let size = self.size.saturating_add(length);
        check_size(&self.context.tenant, size)?;
        self.context.storage.grow(length)?;
        self.file.write_all(piece)?;
        self.hasher.update(piece);
        self.size = size;

        Ok(())
    }

    /// Ends the body. Fails if it is not a complete component.
    pub fn finish(self) -> Result<ReceivedUpload, UploadError> {
        check_whole(&self.file, self.size).map_err(invalid)?;

        self.file.sync_all()?;
        // The directory entry must be durable too.
        rustix::fs::fsync(self.context.staged.version()?)?;

        let changed_at = stamp(&self.file.metadata()?).changed;
        let Upload { context, hasher, size, .. } = self;
        Ok(ReceivedUpload::new(context, Digest::from(hasher), size, changed_at))
    }
}

/// Checks the announced or received size of a component.
pub(super) fn check_size(tenant: &Tenant, size: u64) -> Result<(), UploadError> {
    tenant.settings().quota.check_artifact(size).map_err(|refusal| UploadError::TooLarge {
        limit: refusal.limit,
        allowed_by: "the tenant's quota artifact_size",
    })?;

    if size > MAX_COMPONENT_SIZE {
        return Err(UploadError::TooLarge { limit: MAX_COMPONENT_SIZE, allowed_by: "the server" });
    }

    Ok(())
}

fn invalid(why: IncompleteComponent) -> UploadError {
    match why {
        IncompleteComponent::Unreadable(error) => error.into(),
        why => LoadError::new(Stage::Validate, why.to_string()).into(),
    }
}

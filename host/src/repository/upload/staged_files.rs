//! The files of an archive, written into a staging directory as they arrive.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;

use sha2::{Digest as _, Sha256};

use super::UploadError;
use super::archive::FileSink;
use super::limits::check_file;
use super::staging_dir::StagingDir;
use crate::repository::layout::{COMPONENT, SETTINGS};
use crate::repository::{Digest, check_whole};
use crate::tenant::{QuotaGuard, Tenant};

/// A file that has been written, with the SHA-256 of its content.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct StagedFile {
    pub(super) name: String,
    pub(super) size: u64,
    pub(super) digest: Digest,
}

/// The files of a version, without its settings, and the settings of its model.
#[derive(Default)]
pub(super) struct StagedFiles {
    pub(super) files: Vec<StagedFile>,
    pub(super) settings: Option<StagedFile>,
}

/// Writes the files of an archive, within the tenant's quota.
pub(super) struct StagedFileWriter {
    pub(super) storage: QuotaGuard,
    tenant: Arc<Tenant>,
    staged: Arc<StagingDir>,
    open: Option<OpenFile>,
    written: StagedFiles,
    /// Bytes of all files, as their headers say.
    total: u64,
}

struct OpenFile {
    name: String,
    size: u64,
    file: File,
    hasher: Sha256,
}

/// Maximum size of all files of an archive. Without quotas, nothing else bounds their sum.
const MAX_TOTAL: u64 = 16 << 30;

impl StagedFileWriter {
    /// Creates a writer that takes what it writes from `storage`.
    pub(super) fn new(tenant: Arc<Tenant>, staged: Arc<StagingDir>, storage: QuotaGuard) -> Self {
        let written = StagedFiles::default();
        StagedFileWriter { storage, tenant, staged, open: None, written, total: 0 }
    }

    /// The files, and the part of the quota that they hold. The directory is durable then.
    pub(super) fn finish(self) -> Result<(StagedFiles, QuotaGuard), UploadError> {
        rustix::fs::fsync(self.staged.version()?)?;
        Ok((self.written, self.storage))
    }
}

impl FileSink for StagedFileWriter {
    fn begin(&mut self, name: &str, size: u64) -> Result<(), UploadError> {
        check_file(&self.tenant, name, size)?;
        self.total = self.total.saturating_add(size);
        if self.total > MAX_TOTAL {
            let what = "the content of the archive".into();
            return Err(UploadError::FileTooLarge {
                what,
                limit: MAX_TOTAL,
                allowed_by: "the server",
            });
        }

        let file = match name {
            SETTINGS => self.staged.create_settings()?,
            name => self.staged.create_in_version(name)?,
        };
        self.open = Some(OpenFile { name: name.into(), size, file, hasher: Sha256::new() });
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        let Some(open) = &mut self.open else { return Ok(()) };
        self.storage.grow(piece.len() as u64)?;
        open.file.write_all(piece)?;
        open.hasher.update(piece);
        Ok(())
    }

    fn end(&mut self) -> Result<(), UploadError> {
        let Some(OpenFile { name, size, file, hasher }) = self.open.take() else { return Ok(()) };
        if name == COMPONENT {
            check_whole(&file, size)?;
        }
        file.sync_all()?;

        let is_settings = name == SETTINGS;
        let written = StagedFile { name, size, digest: Digest::from(hasher) };
        match is_settings {
            true => self.written.settings = Some(written),
            false => self.written.files.push(written),
        }
        Ok(())
    }
}

//! A completely received component that is not in place yet.

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::version_dir::{self, PutOutcome};
use super::{UploadContext, UploadError, UploadTarget};
use crate::model::{LoadError, Stage};
use crate::repository::aspired_versions::identity;
use crate::repository::file_cache::FileCache;
use crate::repository::layout::COMPONENT;
use crate::repository::scan::{VersionParts, read_parts};
use crate::repository::{Candidate, Digest};
use crate::tenant::Tenant;

/// A completely received component. Dropping it removes the staged files, unless they were placed,
/// and gives back the quota.
pub struct ReceivedUpload {
    context: UploadContext,
    digest: Digest,
    size: u64,
    /// Time of the file's last status change.
    changed_at: (i64, i64),
    /// Cache of the files next to it, so that each is read once.
    cache: FileCache,
}

impl ReceivedUpload {
    pub(super) fn new(
        context: UploadContext,
        digest: Digest,
        size: u64,
        changed_at: (i64, i64),
    ) -> Self {
        // No settle time: the files are checked again when the version is loaded to serve.
        let cache = FileCache::new(Duration::ZERO, context.uploads.meter.clone());
        ReceivedUpload { context, digest, size, changed_at, cache }
    }

    /// The tenant that uploaded it.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.context.tenant
    }

    /// The version that it will be.
    pub fn target(&self) -> &UploadTarget {
        &self.context.target
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns true if the same content is already in place.
    pub fn is_already_present(&self) -> Result<bool, UploadError> {
        let UploadTarget { name, version } = &self.context.target;
        let path = Path::new(name.as_str()).join(version.to_string()).join(COMPONENT);
        let (file, stamp) = match self.context.tree.open_file(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };

        if stamp.size != self.size {
            return Ok(false);
        }

        let (_, digest) = self.context.uploads.meter.clone().hash_file(file, stamp);
        Ok(digest? == Some(self.digest))
    }

    /// Returns the candidate that it will be, with the files now present next to its place.
    pub fn candidate(&mut self) -> Result<Candidate, UploadError> {
        let UploadTarget { name, version } = self.context.target.clone();
        let runtimes = self.context.uploads.runtimes.catalog();
        let parts = read_parts(&self.context.tree, &mut self.cache, &runtimes, &name, version);
        let VersionParts { settings, live, sidecars, golden } =
            parts.map_err(|reason| LoadError::new(Stage::Read, reason))?;
        let component = self.context.tree.file(self.context.staged.component()).into();
        let digest = identity(&component, &self.digest, &sidecars, golden.as_ref(), &settings);

        Ok(Candidate {
            name,
            version,
            component,
            component_digest: self.digest,
            component_size: self.size,
            changed_at: self.changed_at,
            sidecars,
            golden,
            settings,
            live,
            digest,
        })
    }

    /// Moves it into place. Fails if the files next to its place differ from those it was validated
    /// with.
    pub fn put(&mut self, validated: &Candidate) -> Result<PutOutcome, UploadError> {
        let uploads = self.context.uploads.clone();
        let _lock = uploads.lock();

        if self.candidate()?.digest != validated.digest {
            let reason =
                "the files next to the component changed during validation; upload it again";
            return Err(UploadError::Conflict(reason.into()));
        }

        version_dir::put(&self.context.tree, &self.context.target, &self.context.staged)
    }
}

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
    holding: UploadContext,
    digest: Digest,
    size: u64,
    /// Time of the file's last status change.
    changed: (i64, i64),
    /// Cache of the files next to it, so that each is read once.
    contents: FileCache,
}

impl ReceivedUpload {
    pub(super) fn new(
        holding: UploadContext,
        digest: Digest,
        size: u64,
        changed: (i64, i64),
    ) -> Self {
        // No settle time: the files are checked again when the version is loaded to serve.
        let contents = FileCache::new(Duration::ZERO, holding.uploads.effort.clone());
        ReceivedUpload { holding, digest, size, changed, contents }
    }

    /// The tenant that uploaded it.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.holding.tenant
    }

    /// The version that it will be.
    pub fn target(&self) -> &UploadTarget {
        &self.holding.target
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Returns true if the same content is already in place.
    pub fn is_already_present(&self) -> Result<bool, UploadError> {
        let UploadTarget { name, version } = &self.holding.target;
        let path = Path::new(name.as_str()).join(version.to_string()).join(COMPONENT);
        let (file, stamp) = match self.holding.tree.open_file(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };

        if stamp.size != self.size {
            return Ok(false);
        }

        let (_, digest) = self.holding.uploads.effort.clone().hash_file(file, stamp);

        Ok(digest? == Some(self.digest))
    }

    /// Returns the candidate that it will be, with the files now present next to its place.
    pub fn candidate(&mut self) -> Result<Candidate, UploadError> {
        let UploadTarget { name, version } = self.holding.target.clone();
        let parts = read_parts(&self.holding.tree, &mut self.contents, &name, version);
        let VersionParts { settings, live, sidecars, golden } =
            parts.map_err(|reason| LoadError::new(Stage::Read, reason))?;
        let digest = identity(&self.digest, &sidecars, golden.as_ref(), &settings);

        Ok(Candidate {
            name,
            version,
            component: self.holding.tree.file(self.holding.staged.component()),
            component_digest: self.digest,
            component_size: self.size,
            changed_at: self.changed,
            sidecars,
            golden,
            settings,
            live,
            digest,
        })
    }

    /// Moves it into place. Fails if the files next to its place differ from those it was validated
    /// with.
    pub fn put(&mut self, verified: &Candidate) -> Result<PutOutcome, UploadError> {
        let uploads = self.holding.uploads.clone();
        let _turn = uploads.turn();

        if self.candidate()?.digest != verified.digest {
            let changed = "what lies beside the component changed while it was being verified; upload it again";
            return Err(UploadError::Conflict(changed.into()));
        }

        version_dir::put(&self.holding.tree, &self.holding.target, &self.holding.staged)
    }
}

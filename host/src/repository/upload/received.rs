//! A component that was received whole and is not in its place yet.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedSemaphorePermit;

use super::place::{self, Put};
use super::staging::Staged;
use super::{Target, UploadError, Uploads};
use crate::model::{LoadError, Stage};
use crate::repository::aspired::identity;
use crate::repository::contents::Contents;
use crate::repository::layout::COMPONENT;
use crate::repository::scan::{Parts, beside};
use crate::repository::tree::Tree;
use crate::repository::{Candidate, Digest};
use crate::tenant::{Held, Tenant};

/// A component that was received whole. Dropping it removes it, unless it was put into its place, and gives back
/// what it took of the tenant's quota.
pub struct Received {
    uploads: Arc<Uploads>,
    tenant: Arc<Tenant>,
    target: Target,
    tree: Tree,
    staged: Staged,
    digest: Digest,
    size: u64,
    changed: (i64, i64),
    /// What the files beside it held, so that they are read once.
    contents: Contents,
    _held: (Held, OwnedSemaphorePermit),
}

impl Received {
    pub(super) fn new(
        uploads: Arc<Uploads>,
        tenant: Arc<Tenant>,
        target: Target,
        tree: Tree,
        staged: Staged,
        (digest, size, changed): (Digest, u64, (i64, i64)),
        held: (Held, OwnedSemaphorePermit),
    ) -> Self {
        // What lies there is taken as it is: it is judged again when the version is loaded to serve.
        let contents = Contents::new(Duration::ZERO);
        Received { uploads, tenant, target, tree, staged, digest, size, changed, contents, _held: held }
    }

    /// Whose it is.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Which version it is to be.
    pub fn target(&self) -> &Target {
        &self.target
    }

    /// Its SHA-256.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Whether the same content is in its place already.
    pub fn is_there(&self) -> Result<bool, UploadError> {
        let Target { name, version } = &self.target;
        let path = self.tree.root().path.join(name.as_str()).join(version.to_string()).join(COMPONENT);
        let (file, stamp) = match self.tree.open_file(&path) {
            Ok(opened) => opened,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error.into()),
        };
        Ok(stamp.size == self.size && Digest::of_reader(file)? == self.digest)
    }

    /// What it would be in its place, with what lies beside that now.
    pub fn candidate(&mut self) -> Result<Candidate, UploadError> {
        let Target { name, version } = self.target.clone();
        let parts = beside(&self.tree, &mut self.contents, &name, version);
        let Parts { settings, sidecars, golden } = parts.map_err(|reason| LoadError::new(Stage::Read, reason))?;
        let digest = identity(&self.digest, &sidecars, golden.as_ref(), &settings);
        Ok(Candidate {
            name,
            version,
            component: self.staged.component(),
            component_digest: self.digest,
            component_size: self.size,
            changed: self.changed,
            sidecars,
            golden,
            settings,
            digest,
        })
    }

    /// Puts it into its place. Fails if what lies beside that is not what it was verified with.
    pub fn put(&mut self, verified: &Candidate) -> Result<Put, UploadError> {
        let uploads = self.uploads.clone();
        let _turn = uploads.turn();
        if self.candidate()?.digest != verified.digest {
            let changed = "what lies beside the component changed while it was being verified; upload it again";
            return Err(UploadError::Conflict(changed.into()));
        }
        place::put(&self.tree, &self.target, &self.staged)
    }
}

//! The artifacts of one tenant. No other tenant's models use them, so that no tenant can learn from
//! load times what another has.
//!
//! An artifact in use counts against the tenant's quota `storage`. An unused one is kept while
//! there is room; the least recently used is removed first. Code that other artifacts need is
//! removed after them.

use std::collections::{HashMap, HashSet};
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::{Duration, SystemTime};

use super::files::{directory_size, needed_code, read_artifact};
use super::{Artifact, ArtifactKey, STAGING_PREFIX, write_error};
use crate::model::{LoadError, QuotaExceeded, Stage};
use crate::mutex::lock;
use crate::tenant::{QuotaGuard, Resource, Tenant};

/// The artifacts of one tenant.
pub struct TenantArtifacts {
    tenant: Arc<Tenant>,
    folder: PathBuf,
    index: Mutex<Index>,
}

#[derive(Default)]
struct Index {
    artifacts: HashMap<ArtifactKey, Entry>,
    /// Artifacts that did not fit: the room at that time in bytes, and the error.
    refused: HashMap<ArtifactKey, (u64, LoadError)>,
}

struct Entry {
    size: u64,
    last_used: SystemTime,
    lease: Weak<Lease>,
    /// The artifact of the code that this one needs.
    code: Option<ArtifactKey>,
}

/// Keeps an artifact on disk, counted against its tenant's storage, until it is dropped.
pub struct Lease {
    owner: Arc<TenantArtifacts>,
    held: Option<(QuotaGuard, QuotaGuard)>,
}

/// The start of the name of a folder with shared code, beside the files of an artifact that was
/// just made. Its key follows.
pub(in crate::engine) const SHARED_CODE_PREFIX: &str = "code-";

/// The most failures remembered. A forgotten artifact is compiled again before it fails again.
const MAX_REFUSED: usize = 1000;

impl TenantArtifacts {
    /// Opens a tenant's folder and creates it if necessary. Removes unused artifacts that exceed
    /// the quota.
    pub(super) fn open(tenant: &Arc<Tenant>, folder: PathBuf) -> io::Result<Arc<Self>> {
        fs::create_dir_all(&folder)?;
        let mut index = Index::default();

        for (key, path) in artifacts_in(&folder)? {
            let size = directory_size(&path)?;
            let last_used = fs::metadata(&path)?.modified()?;
            // An unreadable artifact is found to be damaged when it is used.
            let code = needed_code(&path).ok().flatten();
            index.artifacts.insert(key, Entry { size, last_used, lease: Weak::new(), code });
        }

        let artifacts =
            TenantArtifacts { tenant: tenant.clone(), folder, index: Mutex::new(index) };
        artifacts.evict_unused();

        Ok(Arc::new(artifacts))
    }

    /// The tenant that owns the artifacts.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.tenant
    }

    /// Reads an artifact; `None` if there is none. A damaged artifact is removed, so that it is
    /// made again. Fails if it does not fit into the tenant's storage.
    pub fn get(self: &Arc<Self>, key: &ArtifactKey) -> Result<Option<Artifact>, LoadError> {
        let Some(lease) = self.lease(key)? else { return Ok(None) };
        let folder = self.path_of(key);

        match read_artifact(&folder) {
            Ok(files) => {
                // The folder's modification time records the last use.
                let _ =
                    fs::File::open(&folder).and_then(|file| file.set_modified(SystemTime::now()));
                Ok(Some(Artifact::new(files, lease)))
            }
            Err(error) => {
                tracing::warn!(%key, %error, "removing a damaged artifact");
                drop(lease);
                self.remove(&mut self.lock(), key);
                Ok(None)
            }
        }
    }

    /// Returns the bytes that another artifact may have: the tenant's free storage once all unused
    /// artifacts are removed. Fails if the artifact of that key did not fit before and the room has
    /// not grown.
    pub fn room_for(&self, key: &ArtifactKey) -> Result<u64, LoadError> {
        let room = self.tenant.storage_left();
        match self.lock().refused.get(key) {
            Some((room_then, error)) if room <= *room_then => Err(error.clone()),
            _ => Ok(room),
        }
    }

    /// Remembers that an artifact did not fit into `room` bytes, so that it is not compiled again
    /// in vain.
    pub fn record_refused(&self, key: &ArtifactKey, room: u64, error: &LoadError) {
        let mut index = self.lock();
        if index.refused.len() >= MAX_REFUSED {
            index.refused.clear();
        }
        index.refused.insert(key.clone(), (room, error.clone()));
    }

    /// Creates a private directory in which to make an artifact, for [`publish`](Self::publish).
    pub fn stage(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(STAGING_PREFIX).tempdir_in(&self.folder)
    }

    /// Moves a finished artifact into place and removes unused ones until it fits. Fails if it does
    /// not fit, or if the disk fails.
    pub fn publish(
        self: &Arc<Self>,
        key: &ArtifactKey,
        staged: tempfile::TempDir,
    ) -> Result<(), LoadError> {
        let size = directory_size(staged.path()).map_err(write_error)?;
        let code = needed_code(staged.path()).map_err(write_error)?;
        let lease = {
            let mut index = self.lock();
            // An artifact in use can be replaced by an equal one.
            let held = index.artifacts.get(key).and_then(|entry| entry.lease.upgrade());
            let lease = held.map_or_else(|| self.acquire_lease(size), Ok)?;
            let (last_used, used) = (SystemTime::now(), Arc::downgrade(&lease));
            let entry = Entry { size, last_used, lease: used, code };
            index.artifacts.insert(key.clone(), entry);
            index.refused.remove(key);
            lease
        };

        self.evict_unused();
        let moved = self.move_into_place(key, staged);
        drop(lease);

        if moved.is_err() {
            self.lock().artifacts.remove(key);
            self.report_unused(&self.lock());
        }

        moved.map_err(write_error)
    }

    /// Publishes the shared code that a compile process has left beside a model's artifact. Returns
    /// true if there was any.
    pub fn publish_shared_code(self: &Arc<Self>, staged: &Path) -> Result<bool, LoadError> {
        for entry in fs::read_dir(staged).map_err(write_error)? {
            let path = entry.map_err(write_error)?.path();
            let name = path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
            let Some(key) = name.strip_prefix(SHARED_CODE_PREFIX).and_then(ArtifactKey::parse)
            else {
                continue;
            };

            let code = self.stage().map_err(write_error)?;
            fs::rename(&path, code.path()).map_err(write_error)?;
            self.publish(&key, code)?;
            return Ok(true);
        }
        Ok(false)
    }

    fn move_into_place(&self, key: &ArtifactKey, staged: tempfile::TempDir) -> io::Result<()> {
        let target = self.path_of(key);
        fs::File::open(staged.path())?.sync_all()?;

        if target.exists() {
            fs::remove_dir_all(&target)?;
        }

        let staged = staged.keep();
        if let Err(error) = fs::rename(&staged, &target) {
            let _ = fs::remove_dir_all(&staged);
            return Err(error);
        }

        fs::File::open(&self.folder)?.sync_all()
    }

    /// Removes the unused artifacts that are not in `keep` and were last used at least `max_age`
    /// ago. Returns their number.
    pub(super) fn collect(&self, keep: &HashSet<ArtifactKey>, max_age: Duration) -> usize {
        let mut index = self.lock();
        let is_due = |key: &ArtifactKey, entry: &Entry| {
            let age = entry.last_used.elapsed().unwrap_or_default();
            !entry.is_in_use() && !keep.contains(key) && age >= max_age
        };

        let mut removed = 0;
        // Code is due once nothing needs it, which may be a round later.
        loop {
            let needed = index.needed_code();
            let due = index
                .artifacts
                .iter()
                .filter(|(key, entry)| is_due(key, entry) && !needed.contains(key));
            let due: Vec<_> = due.map(|(key, _)| key.clone()).collect();
            if due.is_empty() {
                return removed;
            }

            due.iter().for_each(|key| self.remove(&mut index, key));
            removed += due.len();
        }
    }

    /// True if the tenant has no artifacts.
    pub(super) fn is_empty(&self) -> bool {
        self.lock().artifacts.is_empty()
    }

    /// Removes unused artifacts, the least recently used first, until the rest fits into the
    /// tenant's storage.
    fn evict_unused(&self) {
        let mut index = self.lock();
        while index.unused_bytes() > self.tenant.storage_left() {
            let needed = index.needed_code();
            let unused = index.artifacts.iter();
            let unused = unused.filter(|(key, entry)| !entry.is_in_use() && !needed.contains(key));
            let Some(oldest) =
                unused.min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| key.clone())
            else {
                break;
            };

            tracing::info!(tenant = %self.tenant.name(), key = %oldest, "removing an artifact to make room");
            self.remove(&mut index, &oldest);
        }

        self.report_unused(&index);
    }

    fn remove(&self, index: &mut Index, key: &ArtifactKey) {
        index.artifacts.remove(key);
        self.report_unused(index);
        if let Err(error) = fs::remove_dir_all(self.path_of(key)) {
            tracing::warn!(%key, %error, "cannot remove an artifact");
        }
    }

    /// Marks an artifact as used; `None` if there is none.
    fn lease(self: &Arc<Self>, key: &ArtifactKey) -> Result<Option<Arc<Lease>>, LoadError> {
        let mut index = self.lock();
        let Some(entry) = index.artifacts.get_mut(key) else { return Ok(None) };

        if let Some(lease) = entry.lease.upgrade() {
            return Ok(Some(lease));
        }

        let lease = self.acquire_lease(entry.size)?;
        entry.lease = Arc::downgrade(&lease);
        entry.last_used = SystemTime::now();
        self.report_unused(&index);

        Ok(Some(lease))
    }

    fn acquire_lease(self: &Arc<Self>, size: u64) -> Result<Arc<Lease>, LoadError> {
        let held = self
            .tenant
            .take(Resource::Storage, size)
            .and_then(|storage| Ok((storage, self.tenant.take(Resource::Artifacts, size)?)));
        let held = held.map_err(|QuotaExceeded { limit, .. }| {
            storage_exceeded(size, limit, self.tenant.storage_left())
        });

        Ok(Arc::new(Lease { owner: self.clone(), held: Some(held?) }))
    }

    fn path_of(&self, key: &ArtifactKey) -> PathBuf {
        self.folder.join(&key.0)
    }

    /// Reports the size of the unused artifacts to the tenant's usage.
    fn report_unused(&self, index: &Index) {
        self.tenant.set_kept(Resource::Artifacts, index.unused_bytes());
    }

    fn lock(&self) -> MutexGuard<'_, Index> {
        lock(&self.index)
    }
}

/// Returns the error of an artifact that does not fit into its tenant's storage. All amounts are in
/// bytes.
pub(in crate::engine) fn storage_exceeded(size: u64, limit: u64, room: u64) -> LoadError {
    let reason = format!(
        "the compiled model has {size} bytes, and of this tenant's quota of {limit} bytes for storage {room} are left; \
         remove versions that are not needed, or raise quota.storage"
    );
    LoadError::new(Stage::Quota, reason)
}

/// Lists the artifacts in a tenant's folder.
pub(super) fn artifacts_in(folder: &Path) -> io::Result<Vec<(ArtifactKey, PathBuf)>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder)? {
        let path = entry?.path();
        let name = path.file_name().and_then(|name| name.to_str());
        found.extend(name.and_then(ArtifactKey::parse).map(|key| (key, path.clone())));
    }
    Ok(found)
}

impl Index {
    /// The size of all unused artifacts, in bytes.
    fn unused_bytes(&self) -> u64 {
        self.artifacts.values().filter(|entry| !entry.is_in_use()).map(|entry| entry.size).sum()
    }

    /// The keys of the code that artifacts need.
    fn needed_code(&self) -> HashSet<ArtifactKey> {
        self.artifacts.values().filter_map(|entry| entry.code.clone()).collect()
    }
}

impl Entry {
    fn is_in_use(&self) -> bool {
        self.lease.strong_count() > 0
    }
}

impl Lease {
    /// The tenant that owns the artifact.
    pub fn tenant(&self) -> &Arc<Tenant> {
        &self.owner.tenant
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        self.held = None;
        self.owner.report_unused(&self.owner.lock());
    }
}

//! Compiled components on disk, so that a restart compiles nothing.
//!
//! An artifact is a directory named by its key, holding the machine code, what was learned of the
//! model, and its sidecar files where `load` runs per instance. It is made under another name and
//! renamed into place, so that it is there whole or not at all, and it is never written again.
//!
//! Every artifact belongs to one tenant, in whose folder it is and whose name is part of its key.
//! Code that is the host's own and the same for all could have an owner of its own.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use sha2::{Digest, Sha256};

use super::compile::Role;
use super::hex;
use crate::disk;
use crate::model::{Capability, LoadError, Metadata, Stage, TenantName};
use crate::tenant::Tenant;

mod about;
mod files;
mod tenant;

pub(super) use files::{Content, write_artifact};
use tenant::artifacts_in;
pub(super) use tenant::no_room;
pub use tenant::{Lease, TenantArtifacts};

/// Mixed into the engine's fingerprint: raised whenever the content of an artifact changes its
/// meaning.
pub(super) const FORMAT: &[u8] = b"wardian artifact 2";

/// The name of an artifact: a digest over everything that its content depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactKey(String);

impl ArtifactKey {
    /// The key of a tenant's component's artifact. `component` and the sidecars' digests are
    /// SHA-256 over their content; `config` counts because `load` may read it, and what is granted
    /// because the component was refused or not on its account.
    pub fn new<'a>(
        tenant: &TenantName,
        fingerprint: &str,
        role: Role,
        component: &[u8; 32],
        sidecars: impl IntoIterator<Item = (&'a str, &'a [u8; 32])>,
        config: &BTreeMap<String, String>,
        granted: &[Capability],
    ) -> Self {
        let mut hasher = Sha256::new();
        field(&mut hasher, tenant.as_str().as_bytes());
        field(&mut hasher, fingerprint.as_bytes());
        field(&mut hasher, component);
        for (name, digest) in sidecars {
            field(&mut hasher, name.as_bytes());
            field(&mut hasher, digest);
        }
        field(&mut hasher, b"config");
        for (key, value) in config {
            field(&mut hasher, key.as_bytes());
            field(&mut hasher, value.as_bytes());
        }
        for capability in granted {
            field(&mut hasher, capability.name().as_bytes());
        }
        if role == Role::Interceptor {
            field(&mut hasher, b"interceptor");
        }
        ArtifactKey(hex(&hasher.finalize()))
    }

    /// The key of that text; `None` if it cannot be one.
    fn read(text: &str) -> Option<Self> {
        let is_key =
            text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| ArtifactKey(text.to_owned()))
    }
}

/// Lengths keep neighbouring fields from being mistaken for each other.
fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

impl std::fmt::Display for ArtifactKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// Whether instances start already loaded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// They do: the artifact holds the memory that `load` left.
    Taken,
    /// They do not, for this reason; `load` runs in each.
    Impossible(String),
}

/// What was learned of a model while its artifact was made.
#[derive(Clone, Debug, PartialEq)]
pub struct About {
    /// What the model says of itself.
    pub metadata: Metadata,
    /// Whether instances start already loaded.
    pub snapshot: Snapshot,
}

/// An artifact that was read and found whole.
pub struct Artifact {
    /// The file of machine code.
    pub code: PathBuf,
    /// What was learned of the model.
    pub about: About,
    /// What `load` may read, where it runs per instance.
    pub sidecars: BTreeMap<String, StoredFile>,
    /// Keeps it where it is.
    pub lease: Arc<Lease>,
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// Where it is.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// The directory of artifacts, private to this user and to one process at a time. Each tenant's are
/// in a folder of its name. A clone is shallow.
#[derive(Clone)]
pub struct ArtifactStore {
    root: PathBuf,
    tenants: Arc<Mutex<HashMap<TenantName, Arc<TenantArtifacts>>>>,
    /// Locked as long as the store is open.
    _lock: Arc<fs::File>,
}

impl ArtifactStore {
    /// Opens a store, which is made if it is not there. Fails if another process has it open, or if
    /// it belongs to another user. Nobody else may write to it: machine code is run from there, so
    /// whoever can, owns this process.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::inspect(root)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let metadata = fs::metadata(root)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
        }
        let store = ArtifactStore {
            root: root.to_owned(),
            tenants: Arc::default(),
            _lock: Arc::new(lock(root)?),
        };
        store.clear_leftovers()?;
        Ok(store)
    }

    /// Finds out whether the store could be opened if no other process had it open. Makes and
    /// changes nothing.
    pub fn inspect(root: &Path) -> io::Result<()> {
        if let Ok(metadata) = fs::metadata(root)
            && metadata.uid() != rustix::process::geteuid().as_raw()
        {
            return Err(not_private(root, "belongs to another user"));
        }
        // What is not there yet is made in what is.
        let there =
            root.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new(""));
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        if !fs::metadata(there)?.is_dir() {
            return Err(io::Error::new(
                io::ErrorKind::NotADirectory,
                format!("{} is no directory", there.display()),
            ));
        }
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(there, wanted).map_err(|error| {
            io::Error::new(error.kind(), format!("{} is not writable: {error}", there.display()))
        })
    }

    /// True if another process has the store open now.
    pub fn is_in_use(root: &Path) -> bool {
        let file = fs::File::open(lock_of(root));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }

    /// The artifacts of a tenant. Looks through its folder the first time.
    pub fn of(&self, tenant: &Arc<Tenant>) -> io::Result<Arc<TenantArtifacts>> {
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(known) = tenants.get(tenant.name())
            && Arc::ptr_eq(known.tenant(), tenant)
        {
            return Ok(known.clone());
        }
        let artifacts = TenantArtifacts::open(tenant, self.folder_of(tenant.name()))?;
        tenants.insert(tenant.name().clone(), artifacts.clone());
        Ok(artifacts)
    }

    /// Removes every artifact of that tenant but those, the ones in use and the ones used less than
    /// `max_age` ago. Of tenants that are no more, all that are not in use. Returns how many went.
    pub fn collect(
        &self,
        tenant: &TenantName,
        keep: &HashSet<ArtifactKey>,
        max_age: Duration,
    ) -> io::Result<usize> {
        let mut removed = 0;
        let mut tenants = self.tenants.lock().unwrap_or_else(PoisonError::into_inner);
        tenants.retain(|name, artifacts| {
            let gone = artifacts.tenant().is_dismissed();
            removed += match gone {
                true => artifacts.collect(&HashSet::new(), Duration::ZERO),
                false if name == tenant => artifacts.collect(keep, max_age),
                false => 0,
            };
            let forgotten = gone && artifacts.is_empty();
            if forgotten {
                let _ = fs::remove_dir(self.folder_of(name));
            }
            !forgotten
        });
        for folder in self.folders()? {
            let name = folder.file_name().and_then(|name| TenantName::new(name.to_str()?).ok());
            if !name.is_some_and(|name| tenants.contains_key(&name)) {
                removed += collect_unknown(&folder, max_age)?;
            }
        }
        Ok(removed)
    }

    /// Removes what a killed server has left unfinished, and what an earlier release has kept for
    /// all tenants together.
    fn clear_leftovers(&self) -> io::Result<()> {
        for folder in self.folders()? {
            if !is_of_tenant(&folder)? {
                fs::remove_dir_all(&folder)?;
                continue;
            }
            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                    fs::remove_dir_all(entry.path())?;
                }
            }
        }
        Ok(())
    }

    fn folders(&self) -> io::Result<Vec<PathBuf>> {
        let paths = fs::read_dir(&self.root)?.map(|entry| entry.map(|entry| entry.path()));
        let paths = paths.collect::<io::Result<Vec<_>>>()?;
        Ok(paths.into_iter().filter(|path| path.is_dir()).collect())
    }

    fn folder_of(&self, tenant: &TenantName) -> PathBuf {
        self.root.join(tenant.as_str())
    }
}

/// Removes artifacts of a tenant that this server does not know, once they are old enough.
fn collect_unknown(folder: &Path, max_age: Duration) -> io::Result<usize> {
    let mut removed = 0;
    for (_, path) in artifacts_in(folder)? {
        if fs::metadata(&path)?.modified()?.elapsed().unwrap_or_default() >= max_age {
            fs::remove_dir_all(path)?;
            removed += 1;
        }
    }
    // It stays while something is in it.
    let _ = fs::remove_dir(folder);
    Ok(removed)
}

/// True if a folder can be a tenant's: everything in it is named as an artifact is, or as an
/// unfinished one.
fn is_of_tenant(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if ArtifactKey::read(&name).is_none() && !name.starts_with(UNFINISHED) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// What a failure to write a file of the artifact store means.
pub(crate) fn unwritten(error: io::Error) -> LoadError {
    if disk::is_full(&error) {
        let reason = "the disk of the state directory is full; free space on it";
        return LoadError::new(Stage::Disk, reason);
    }
    LoadError::new(
        Stage::Host,
        format!("the artifact store cannot be written: {}", disk::plain(&error)),
    )
}

const UNFINISHED: &str = "unfinished-";

fn lock_of(root: &Path) -> PathBuf {
    root.with_extension("lock")
}

/// Locks the store by a file beside it, for as long as that file is open.
fn lock(root: &Path) -> io::Result<fs::File> {
    let file = fs::File::create(lock_of(root))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(fs::TryLockError::WouldBlock) => Err(io::Error::new(
            io::ErrorKind::ResourceBusy,
            "another process is using it; give each its own --state",
        )),
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn not_private(root: &Path, why: &str) -> io::Error {
    io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("the artifact store {} {why}", root.display()),
    )
}

#[cfg(test)]
mod tests;

//! The artifact store: compiled components on disk, so that a restart compiles nothing.
//!
//! An artifact is a directory named by its key. It holds a compiled file, a description of the
//! model and, if `load` runs in every instance, the sidecar files. It is written under a temporary
//! name and renamed when complete, and is never modified later.
//!
//! The compiled file of a model is as a rule its state alone. The code, which it shares with other
//! models of its tenant, is an artifact of its own, kept while an artifact needs it.
//!
//! Every artifact belongs to one tenant: it lies in that tenant's folder, and the tenant's name is
//! part of its key.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::Role;
use crate::disk_errors;
use crate::model::{Capability, Digest, LoadError, Metadata, Stage, TenantName};
use crate::mutex::lock;
use crate::tenant::Tenant;

mod files;
mod manifest;
mod tenant_artifacts;

use files::ArtifactFiles;
pub(super) use files::{ArtifactContent, read_artifact, write_artifact};
use tenant_artifacts::artifacts_in;
pub use tenant_artifacts::{Lease, TenantArtifacts};
pub(super) use tenant_artifacts::{SHARED_CODE_PREFIX, storage_exceeded};

/// The version of the artifact format, part of the engine's fingerprint. It changes whenever the
/// meaning of an artifact's content changes.
pub(super) const FORMAT: &[u8] = b"wardian artifact 4";

/// The name of an artifact: a digest over everything its content depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactKey(String);

impl ArtifactKey {
    /// Computes the key of a component's artifact. `component` and the digests of `sidecars` are
    /// SHA-256 over the content. `config` is included because `load` may read it, `granted` because
    /// it decides whether the component's imports are permitted. `model_file` names the sidecar
    /// that a runtime serves.
    #[allow(clippy::too_many_arguments)] // Everything that an artifact depends on.
    pub fn new<'a>(
        tenant: &TenantName,
        fingerprint: &str,
        role: Role,
        component: &[u8; 32],
        sidecars: impl IntoIterator<Item = (&'a str, &'a [u8; 32])>,
        model_file: Option<&str>,
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

        if let Some(name) = model_file {
            field(&mut hasher, b"model file");
            field(&mut hasher, name.as_bytes());
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

        ArtifactKey(Digest::from(hasher).to_string())
    }

    /// Computes the key of code that models share, from the bytes that it is compiled from. `scope`
    /// stands for the tenant and the engine, see [`code_scope`](Self::code_scope).
    pub(super) fn of_shared_code(scope: &str, code: &[u8]) -> Self {
        let mut hasher = Sha256::new();
        field(&mut hasher, b"shared code");
        field(&mut hasher, scope.as_bytes());
        field(&mut hasher, code);
        ArtifactKey(Digest::from(hasher).to_string())
    }

    /// Everything that the key of shared code depends on, apart from its bytes.
    pub fn code_scope(tenant: &TenantName, fingerprint: &str) -> String {
        format!("{fingerprint} {tenant}")
    }

    /// Parses a key; `None` if the text is not 64 lower-case hexadecimal digits.
    fn parse(text: &str) -> Option<Self> {
        let is_key =
            text.len() == 64 && text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
        is_key.then(|| ArtifactKey(text.to_owned()))
    }
}

/// Hashes a field with its length, so that adjacent fields cannot be confused.
fn field(hasher: &mut Sha256, bytes: &[u8]) {
    hasher.update((bytes.len() as u64).to_le_bytes());
    hasher.update(bytes);
}

impl std::fmt::Display for ArtifactKey {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(&self.0)
    }
}

/// The state in which instances start.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Snapshot {
    /// Already loaded: the artifact holds the memory as `load` left it.
    Taken,
    /// Not loaded, for this reason: `load` runs in every instance.
    Impossible(String),
}

/// The description of a model, recorded when its artifact is made.
#[derive(Clone, Debug, PartialEq)]
pub struct ModelInfo {
    /// The metadata that the model reports.
    pub metadata: Metadata,
    /// The state in which instances start.
    pub snapshot: Snapshot,
}

/// The kind of an artifact's compiled file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Form {
    /// A component.
    Whole,
    /// The state of a model, for a component that is an artifact of its own.
    State {
        /// The key of that artifact.
        code: ArtifactKey,
    },
    /// A component that models share. It imports their state.
    Code {
        /// Tables of an instance.
        tables: u32,
    },
}

/// An artifact that was read and verified.
pub struct Artifact {
    /// The compiled file.
    pub code: PathBuf,
    /// The kind of the compiled file.
    pub form: Form,
    /// The description of the model.
    pub info: ModelInfo,
    /// The files that `load` may read; empty if instances start already loaded.
    pub sidecars: BTreeMap<String, StoredFile>,
    /// Keeps the artifact from being removed.
    pub lease: Arc<Lease>,
}

impl Artifact {
    fn new(files: ArtifactFiles, lease: Arc<Lease>) -> Self {
        let ArtifactFiles { code, form, info, sidecars } = files;
        Artifact { code, form, info, sidecars, lease }
    }
}

/// A file of an artifact.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredFile {
    /// The path of the file.
    pub path: PathBuf,
    /// Bytes.
    pub size: u64,
}

/// The directory of artifacts, with one folder for each tenant. It is private to this user and
/// open in one process at a time. A clone is shallow.
#[derive(Clone)]
pub struct ArtifactStore {
    root: PathBuf,
    tenants: Arc<Mutex<HashMap<TenantName, Arc<TenantArtifacts>>>>,
    /// Holds the lock on the store.
    _lock: Arc<fs::File>,
}

impl ArtifactStore {
    /// Opens a store and creates it if necessary. Fails if another process has it open or if it
    /// belongs to another user. No other user may write to it: its machine code runs in this
    /// process.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::check_access(root)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;

        let metadata = fs::metadata(root)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
        }

        let store = ArtifactStore {
            root: root.to_owned(),
            tenants: Arc::default(),
            _lock: Arc::new(lock_store(root)?),
        };

        store.remove_unfinished()?;
        Ok(store)
    }

    /// Checks that this process could open the store, apart from the lock. Changes nothing.
    pub fn check_access(root: &Path) -> io::Result<()> {
        if let Ok(metadata) = fs::metadata(root)
            && metadata.uid() != rustix::process::geteuid().as_raw()
        {
            return Err(not_private(root, "belongs to another user"));
        }

        // A missing directory is created by `open`.
        disk_errors::check_writable(root)
    }

    /// True if another process has the store open.
    pub fn is_in_use(root: &Path) -> bool {
        let file = fs::File::open(lock_path(root));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Returns a tenant's artifacts. The first call for a tenant reads its folder.
    pub fn for_tenant(&self, tenant: &Arc<Tenant>) -> io::Result<Arc<TenantArtifacts>> {
        let mut tenants = lock(&self.tenants);
        if let Some(known) = tenants.get(tenant.name())
            && Arc::ptr_eq(known.tenant(), tenant)
        {
            return Ok(known.clone());
        }

        let artifacts = TenantArtifacts::open(tenant, self.tenant_folder(tenant.name()))?;
        tenants.insert(tenant.name().clone(), artifacts.clone());

        Ok(artifacts)
    }

    /// Removes artifacts that are not in use and returns their number: those of `tenant` that are
    /// not in `keep` and were last used at least `max_age` ago, all those of removed tenants, and
    /// those of tenants that are not `configured` and were last used at least `max_age` ago. A
    /// configured tenant that has loaded nothing yet keeps all of its artifacts: its repository may
    /// be missing.
    pub fn collect(
        &self,
        tenant: &TenantName,
        configured: &HashSet<TenantName>,
        keep: &HashSet<ArtifactKey>,
        max_age: Duration,
    ) -> io::Result<usize> {
        let mut removed = 0;
        let mut tenants = lock(&self.tenants);

        tenants.retain(|name, artifacts| {
            let gone = artifacts.tenant().is_removed();
            removed += match gone {
                true => artifacts.collect(&HashSet::new(), Duration::ZERO),
                false if name == tenant => artifacts.collect(keep, max_age),
                false => 0,
            };

            let forgotten = gone && artifacts.is_empty();
            if forgotten {
                let _ = fs::remove_dir(self.tenant_folder(name));
            }

            !forgotten
        });

        for folder in self.folders()? {
            let name = folder.file_name().and_then(|name| TenantName::new(name.to_str()?).ok());
            let is_known =
                |name: &TenantName| configured.contains(name) || tenants.contains_key(name);
            if !name.is_some_and(|name| is_known(&name)) {
                removed += collect_unknown_tenant(&folder, max_age)?;
            }
        }

        Ok(removed)
    }

    /// Removes unfinished artifacts, and folders of an earlier release's layout, which had no
    /// tenants.
    fn remove_unfinished(&self) -> io::Result<()> {
        for folder in self.folders()? {
            if !is_tenant_folder(&folder)? {
                fs::remove_dir_all(&folder)?;
                continue;
            }

            for entry in fs::read_dir(&folder)? {
                let entry = entry?;
                if entry.file_name().to_string_lossy().starts_with(STAGING_PREFIX) {
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

    fn tenant_folder(&self, tenant: &TenantName) -> PathBuf {
        self.root.join(tenant.as_str())
    }
}

/// Removes the artifacts of a tenant without a configuration that are at least `max_age` old.
fn collect_unknown_tenant(folder: &Path, max_age: Duration) -> io::Result<usize> {
    let mut removed = 0;
    for (_, path) in artifacts_in(folder)? {
        if fs::metadata(&path)?.modified()?.elapsed().unwrap_or_default() >= max_age {
            fs::remove_dir_all(path)?;
            removed += 1;
        }
    }

    // Fails while the folder is not empty.
    let _ = fs::remove_dir(folder);
    Ok(removed)
}

/// True if a folder can be a tenant's: every entry is named as an artifact or an unfinished one.
fn is_tenant_folder(folder: &Path) -> io::Result<bool> {
    for entry in fs::read_dir(folder)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        if ArtifactKey::parse(&name).is_none() && !name.starts_with(STAGING_PREFIX) {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Maps a failure to write to the artifact store to a load error.
pub fn write_error(error: io::Error) -> LoadError {
    if disk_errors::is_disk_full(&error) {
        let reason = "the disk of the state directory is full; free space on it";
        return LoadError::new(Stage::Disk, reason);
    }

    LoadError::new(
        Stage::Host,
        format!("the artifact store cannot be written: {}", disk_errors::error_text(&error)),
    )
}

const STAGING_PREFIX: &str = "unfinished-";

fn lock_path(root: &Path) -> PathBuf {
    root.with_extension("lock")
}

/// Locks the store through a file beside it, until the returned file is dropped.
fn lock_store(root: &Path) -> io::Result<fs::File> {
    let file = fs::File::create(lock_path(root))?;
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

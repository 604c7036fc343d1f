//! Compiled components on disk, so that a restart compiles nothing.
//!
//! An artifact is a directory named by its key, holding the machine code, what was learned of the
//! model, and its sidecar files where `load` runs per instance. It is made under another name and
//! renamed into place, so that it is there whole or not at all, and it is never written again.

use std::collections::{BTreeMap, HashSet};
use std::fs;
use std::io;
use std::os::unix::fs::{DirBuilderExt, MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, SystemTime};

use sha2::{Digest, Sha256};

use super::compile::Role;
use super::hex;
use crate::disk;
use crate::model::{Capability, LoadError, Metadata, Stage};

mod about;
mod files;

use files::read_artifact;
pub(super) use files::write_artifact;

/// Mixed into the engine's fingerprint: raised whenever the content of an artifact changes its meaning.
pub(super) const FORMAT: &[u8] = b"wardian artifact 1";

/// The name of an artifact: a digest over everything that its content depends on.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ArtifactKey(String);

impl ArtifactKey {
    /// The key of a component's artifact. `component` and the sidecars' digests are SHA-256 over their
    /// content; `config` counts because `load` may read it, and what is granted because the component was refused
    /// or not on its account.
    pub fn new<'a>(
        fingerprint: &str,
        role: Role,
        component: &[u8; 32],
        sidecars: impl IntoIterator<Item = (&'a str, &'a [u8; 32])>,
        config: &BTreeMap<String, String>,
        granted: &[Capability],
    ) -> Self {
        let mut hasher = Sha256::new();
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
    pub sidecars: BTreeMap<String, Vec<u8>>,
}

/// The directory of artifacts, private to this user and to one process at a time. A clone is shallow.
#[derive(Clone, Debug)]
pub struct ArtifactStore {
    root: PathBuf,
    /// Locked as long as the store is open.
    _lock: Arc<fs::File>,
}

impl ArtifactStore {
    /// Opens the store in that directory, making it if need be, and clears away what an earlier
    /// process left unfinished. Fails if another process has it open, and if others could write to it:
    /// whoever can, owns this process.
    pub fn open(root: &Path) -> io::Result<Self> {
        Self::inspect(root)?;
        fs::DirBuilder::new().recursive(true).mode(0o700).create(root)?;
        let metadata = fs::metadata(root)?;
        if metadata.permissions().mode() & 0o077 != 0 {
            fs::set_permissions(root, fs::Permissions::from_mode(0o700))?;
        }
        let store = ArtifactStore { root: root.to_owned(), _lock: Arc::new(lock(root)?) };
        store.clear_unfinished()?;
        Ok(store)
    }

    /// Finds out whether the store could be opened if no other process had it open. Makes and changes nothing.
    pub fn inspect(root: &Path) -> io::Result<()> {
        if let Ok(metadata) = fs::metadata(root)
            && metadata.uid() != rustix::process::geteuid().as_raw()
        {
            return Err(not_private(root, "belongs to another user"));
        }
        // What is not there yet is made in what is.
        let there = root.ancestors().find(|path| path.symlink_metadata().is_ok()).unwrap_or(Path::new(""));
        let there = if there.as_os_str().is_empty() { Path::new(".") } else { there };
        if !fs::metadata(there)?.is_dir() {
            return Err(io::Error::new(io::ErrorKind::NotADirectory, format!("{} is no directory", there.display())));
        }
        let wanted = rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK;
        rustix::fs::access(there, wanted)
            .map_err(|error| io::Error::new(error.kind(), format!("{} is not writable: {error}", there.display())))
    }

    /// True if another process has the store open now.
    pub fn is_in_use(root: &Path) -> bool {
        let file = fs::File::open(lock_of(root));
        file.is_ok_and(|file| matches!(file.try_lock(), Err(fs::TryLockError::WouldBlock)))
    }

    /// Reads the artifact of that key; `None` if there is none, or if it is damaged, in which case it
    /// is removed so that it will be made anew.
    pub fn get(&self, key: &ArtifactKey) -> Option<Artifact> {
        let directory = self.root.join(&key.0);
        if !directory.exists() {
            return None;
        }
        match read_artifact(&directory) {
            Ok(artifact) => {
                // The directory's own time tells when it was last used.
                let _ = fs::File::open(&directory).and_then(|file| file.set_modified(SystemTime::now()));
                Some(artifact)
            }
            Err(error) => {
                tracing::warn!(%key, %error, "removing a damaged artifact");
                let _ = fs::remove_dir_all(&directory);
                None
            }
        }
    }

    /// A private directory to make an artifact in; give it to [`publish`](Self::publish).
    pub fn stage(&self) -> io::Result<tempfile::TempDir> {
        tempfile::Builder::new().prefix(UNFINISHED).tempdir_in(&self.root)
    }

    /// Moves a finished artifact into place. What another made meanwhile under the same key stays.
    pub fn publish(&self, key: &ArtifactKey, staged: tempfile::TempDir) -> io::Result<()> {
        let target = self.root.join(&key.0);
        fs::File::open(staged.path())?.sync_all()?;
        let staged = staged.keep();
        if let Err(error) = fs::rename(&staged, &target) {
            let _ = fs::remove_dir_all(&staged);
            if !target.exists() {
                return Err(error);
            }
        }
        fs::File::open(&self.root)?.sync_all()
    }

    /// Removes every artifact but those and the ones used less than `max_age` ago, and returns how many
    /// went. What is mapped stays mapped.
    pub fn collect(&self, keep: &HashSet<ArtifactKey>, max_age: Duration) -> io::Result<usize> {
        let mut removed = 0;
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            let name = entry.file_name().to_string_lossy().into_owned();
            let age = entry.metadata()?.modified()?.elapsed().unwrap_or_default();
            if name.starts_with(UNFINISHED) || keep.contains(&ArtifactKey(name)) || age < max_age {
                continue;
            }
            fs::remove_dir_all(entry.path())?;
            removed += 1;
        }
        Ok(removed)
    }

    fn clear_unfinished(&self) -> io::Result<()> {
        for entry in fs::read_dir(&self.root)? {
            let entry = entry?;
            if entry.file_name().to_string_lossy().starts_with(UNFINISHED) {
                fs::remove_dir_all(entry.path())?;
            }
        }
        Ok(())
    }
}

/// What a failure to write a file of the artifact store means.
pub(crate) fn unwritten(error: io::Error) -> LoadError {
    if disk::is_full(&error) {
        let reason = "the disk of the state directory is full; free space on it";
        return LoadError::new(Stage::Disk, reason);
    }
    LoadError::new(Stage::Host, format!("the artifact store cannot be written: {}", disk::plain(&error)))
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
        Err(fs::TryLockError::WouldBlock) => {
            Err(io::Error::new(io::ErrorKind::ResourceBusy, "another process is using it; give each its own --state"))
        }
        Err(fs::TryLockError::Error(error)) => Err(error),
    }
}

fn not_private(root: &Path, why: &str) -> io::Error {
    io::Error::new(io::ErrorKind::PermissionDenied, format!("the artifact store {} {why}", root.display()))
}

#[cfg(test)]
mod tests {
    use super::files::{ABOUT, CODE};
    use super::*;

    fn about() -> About {
        About { metadata: Metadata::default(), snapshot: Snapshot::Impossible("a test".into()) }
    }

    fn key(name: &str) -> ArtifactKey {
        ArtifactKey::new(name, Role::Model, &[0; 32], [], &BTreeMap::new(), &[])
    }

    fn store_with(key: &ArtifactKey) -> (tempfile::TempDir, PathBuf, ArtifactStore) {
        let parent = tempfile::tempdir().unwrap();
        let root = parent.path().join("artifacts");
        let store = ArtifactStore::open(&root).unwrap();
        let staged = store.stage().unwrap();
        let sidecars = BTreeMap::from([("weights".to_string(), vec![1, 2, 3])]);
        write_artifact(staged.path(), b"code", &about(), &sidecars).unwrap();
        store.publish(key, staged).unwrap();
        (parent, root, store)
    }

    #[test]
    fn what_is_published_is_read_again() {
        let key = key("a");
        let (_parent, _root, store) = store_with(&key);
        let artifact = store.get(&key).unwrap();
        assert_eq!(artifact.about, about());
        assert_eq!(artifact.sidecars["weights"], [1, 2, 3]);
    }

    #[test]
    fn a_damaged_artifact_is_not_used() {
        let key = key("a");
        for victim in [CODE, ABOUT, "sidecars/weights"] {
            let (_parent, root, store) = store_with(&key);
            let path = root.join(&key.0).join(victim);
            let mut content = fs::read(&path).unwrap();
            content[0] ^= 1;
            fs::remove_file(&path).unwrap();
            fs::write(&path, content).unwrap();
            assert!(store.get(&key).is_none(), "{victim}");
            assert!(!root.join(&key.0).exists(), "{victim}");
        }
    }

    #[test]
    fn what_is_no_longer_wanted_is_collected() {
        let (kept, gone) = (key("a"), key("b"));
        let (_parent, root, store) = store_with(&kept);
        fs::create_dir(root.join(&gone.0)).unwrap();
        let keep = HashSet::from([kept.clone()]);
        assert_eq!(store.collect(&keep, Duration::from_secs(3600)).unwrap(), 0);
        assert_eq!(store.collect(&keep, Duration::ZERO).unwrap(), 1);
        assert!(store.get(&kept).is_some());
    }

    #[test]
    fn unfinished_work_is_cleared_away() {
        let (_parent, root, store) = store_with(&key("a"));
        let unfinished = store.stage().unwrap().keep();
        drop(store);
        ArtifactStore::open(&root).unwrap();
        assert!(!unfinished.exists());
    }

    #[test]
    fn one_process_at_a_time() {
        let (_parent, root, store) = store_with(&key("a"));
        let refused = ArtifactStore::open(&root).unwrap_err();
        assert!(refused.to_string().contains("another process"), "{refused}");
        drop(store);
        ArtifactStore::open(&root).unwrap();
    }

    #[test]
    fn every_part_of_the_key_counts() {
        let config = |value: &str| BTreeMap::from([("threshold".to_string(), value.to_string())]);
        let keys = [
            ArtifactKey::new("engine", Role::Model, &[0; 32], [], &BTreeMap::new(), &[]),
            ArtifactKey::new("other", Role::Model, &[0; 32], [], &BTreeMap::new(), &[]),
            ArtifactKey::new("engine", Role::Model, &[1; 32], [], &BTreeMap::new(), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [("a", &[0; 32])], &BTreeMap::new(), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [("b", &[0; 32])], &BTreeMap::new(), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [("a", &[1; 32])], &BTreeMap::new(), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [], &config("0.5"), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [], &config("0.6"), &[]),
            ArtifactKey::new("engine", Role::Model, &[0; 32], [], &BTreeMap::new(), &[Capability::Http]),
            ArtifactKey::new("engine", Role::Interceptor, &[0; 32], [], &BTreeMap::new(), &[]),
        ];
        assert_eq!(HashSet::from(keys).len(), 10);
    }
}

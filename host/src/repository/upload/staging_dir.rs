//! Staging directories of uploads, in a hidden folder of the root, and hidden names for versions
//! being removed.
//!
//! Each upload has its own directory there, with a lock file that is locked while the upload lives.
//! The lock ends with the process, so an unlocked directory was abandoned. Several servers on the
//! same repository therefore leave each other's uploads alone.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Dir, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::io::Errno;

use crate::blocking;
use crate::files::path_in;
use crate::repository::confined_dir::ConfinedDir;
use crate::repository::layout::{COMPONENT, SETTINGS};

/// Name of the hidden folder in the root. Scans ignore hidden names.
pub(super) const FOLDER: &str = ".wardian-upload";
/// Name of the version's folder in a staging directory.
pub(super) const VERSION: &str = "version";
const LOCK: &str = "lock";
/// Prefix of the names of versions being removed, in the root.
const DELETED: &str = ".wardian-deleted-";

/// A staging directory. Dropping it removes it with its content.
pub(super) struct StagingDir {
    /// The hidden folder.
    parent: Arc<OwnedFd>,
    name: String,
    folder: OwnedFd,
    _lock: File,
}

impl StagingDir {
    /// Creates a staging directory. Fails on an I/O error.
    pub(super) fn new(tree: &ConfinedDir) -> io::Result<Self> {
        let parent = open_or_create(tree.folder(), FOLDER)?;
        let name = unique_name();
        mkdirat(&parent, &name, FOLDER_MODE)?;
        let folder = open_folder(&parent, &name)?;
        let lock = File::from(openat(&folder, LOCK, OFlags::RDWR | NEW_FILE, FILE_MODE)?);
        // A file system without locks is not shared by two servers.
        let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);

        Ok(StagingDir { parent: Arc::new(parent), name, folder, _lock: lock })
    }

    /// Descriptor of the directory.
    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Creates the version's folder.
    pub(super) fn create_version(&self) -> io::Result<OwnedFd> {
        open_or_create(&self.folder, VERSION)
    }

    /// Creates an empty file in the version's folder, and opens it. `name` is one plain name.
    pub(super) fn create_in_version(&self, name: &str) -> io::Result<File> {
        let flags = OFlags::RDWR | NEW_FILE;
        Ok(openat(self.create_version()?, name, flags, FILE_MODE)?.into())
    }

    /// Creates an empty file for the settings of the model, beside the version's folder.
    pub(super) fn create_settings(&self) -> io::Result<File> {
        Ok(openat(&self.folder, SETTINGS, OFlags::RDWR | NEW_FILE, FILE_MODE)?.into())
    }

    /// Opens the version's folder.
    pub(super) fn version(&self) -> io::Result<OwnedFd> {
        open_folder(&self.folder, VERSION)
    }

    /// Path of the component, relative to the root.
    pub(super) fn component(&self) -> PathBuf {
        self.version_path().join(COMPONENT)
    }

    /// Path of the version's folder, relative to the root.
    pub(super) fn version_path(&self) -> PathBuf {
        self.path().join(VERSION)
    }

    /// Path of the directory, relative to the root.
    pub(super) fn path(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name)
    }
}

impl Drop for StagingDir {
    fn drop(&mut self) {
        let (parent, name) = (self.parent.clone(), std::mem::take(&mut self.name));
        // This may run on an HTTP thread, and removing large files takes a while.
        match tokio::runtime::Handle::try_current() {
            Ok(_) => drop(blocking::run(move || remove(&parent, &name))),
            Err(_) => remove(&parent, &name),
        }
    }
}

/// Returns a new hidden name for a version to be removed.
pub(super) fn new_deleted_name() -> String {
    format!("{DELETED}{}", unique_name())
}

/// Removes the staging directories that no living process holds.
pub(super) fn remove_abandoned(tree: &ConfinedDir) {
    // A process that is removing one of these meanwhile has the same goal.
    let deleted = names(tree.folder()).into_iter().filter(|name| name.starts_with(DELETED));
    deleted.for_each(|name| remove(tree.folder(), &name));
    let Ok(parent) = open_folder(tree.folder(), FOLDER) else { return };

    for name in names(&parent).into_iter().filter(|name| !is_held(&parent, name)) {
        tracing::info!(name, "removing an abandoned upload");
        remove(&parent, &name);
    }
}

/// Returns the names in a folder. Skips names that are not UTF-8, and entries that cannot be read.
fn names(folder: &OwnedFd) -> Vec<String> {
    let entries = Dir::read_from(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned).ok());
    names.filter(|name| name != "." && name != "..").collect()
}

/// Opens a folder within another; fails on a link.
pub(super) fn open_folder(within: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(within, name, flags, Mode::empty())?)
}

/// Opens a folder within another, and creates it if necessary.
pub(super) fn open_or_create(within: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(&within, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => open_folder(within, name),
        Err(error) => Err(error.into()),
    }
}

const NEW_FILE: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
// As for other programs' files, the umask decides if others may read them.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// Returns a name that no other upload of any server has.
fn unique_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", std::process::id(), since.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn is_held(parent: &OwnedFd, name: &str) -> bool {
    // Must not block on whatever file is there.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock = open_folder(parent, name)
        .and_then(|folder| Ok(openat(&folder, LOCK, flags, Mode::empty())?));
    lock.is_ok_and(|lock| {
        flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}

/// Removes a folder with its content; succeeds if there is none. Follows no link.
pub(super) fn remove(within: &OwnedFd, name: &str) {
    match fs::remove_dir_all(path_in(within, name)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(name, %error, "cannot remove a staging directory or a removed version")
        }
    }
}

//! The hidden folder in which uploads are received, and the hidden names under which versions are
//! removed.
//!
//! Each has a folder of its own there, with a file that it holds a lock on while it lives. The lock
//! goes with the process, however that ends, so what is not locked was left behind, and other
//! servers on the same repository leave each other's uploads alone.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use rustix::fs::{Dir, FlockOperation, Mode, OFlags, flock, mkdirat, openat};
use rustix::io::Errno;

use crate::files::path_in;
use crate::repository::layout::COMPONENT;
use crate::repository::tree::Tree;

/// In the root; hidden names are ignored by every look.
pub(super) const FOLDER: &str = ".wardian-upload";
/// The version's folder as it will be, in an upload's own.
pub(super) const VERSION: &str = "version";
const LOCK: &str = "lock";
/// In the root too: what a version that is being removed is called.
const DELETED: &str = ".wardian-deleted-";

/// A folder in the hidden folder, which goes with everything in it when this is dropped.
pub(super) struct Staged {
    /// The hidden folder, and what this one is called in it.
    all: Arc<OwnedFd>,
    name: String,
    folder: OwnedFd,
    _lock: File,
}

impl Staged {
    /// Makes a folder. Fails as the file system does.
    pub(super) fn new(tree: &Tree) -> io::Result<Self> {
        let all = open_or_make(tree.folder(), FOLDER)?;
        let name = fresh_name();
        mkdirat(&all, &name, FOLDER_MODE)?;
        let folder = open_folder(&all, &name)?;
        let lock = File::from(openat(&folder, LOCK, OFlags::RDWR | NEW_FILE, FILE_MODE)?);
        // Where there are no locks there are no two servers either.
        let _ = flock(&lock, FlockOperation::NonBlockingLockExclusive);
        Ok(Staged { all: Arc::new(all), name, folder, _lock: lock })
    }

    /// The folder.
    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// Makes a version's folder in it, with an empty component, and opens that for writing.
    pub(super) fn create_component(&self) -> io::Result<File> {
        let version = open_or_make(&self.folder, VERSION)?;
        let flags = OFlags::RDWR | NEW_FILE;
        Ok(openat(&version, COMPONENT, flags, FILE_MODE)?.into())
    }

    /// The version's folder in it.
    pub(super) fn version(&self) -> io::Result<OwnedFd> {
        open_folder(&self.folder, VERSION)
    }

    /// Where the component is in the repository.
    pub(super) fn component(&self) -> PathBuf {
        Path::new(FOLDER).join(&self.name).join(VERSION).join(COMPONENT)
    }
}

impl Drop for Staged {
    fn drop(&mut self) {
        let (all, name) = (self.all.clone(), std::mem::take(&mut self.name));
        // It may be dropped where requests are served, and removing large files takes a while.
        match tokio::runtime::Handle::try_current() {
            Ok(runtime) => drop(runtime.spawn_blocking(move || remove(&all, &name))),
            Err(_) => remove(&all, &name),
        }
    }
}

/// A name under which a version can be removed.
pub(super) fn deleted_name() -> String {
    format!("{DELETED}{}", fresh_name())
}

/// Removes what no living process holds.
pub(super) fn clear(tree: &Tree) {
    // Whoever began to remove these wants the same.
    let deleted = names(tree.folder()).into_iter().filter(|name| name.starts_with(DELETED));
    deleted.for_each(|name| remove(tree.folder(), &name));
    let Ok(all) = open_folder(tree.folder(), FOLDER) else { return };
    for name in names(&all).into_iter().filter(|name| !is_held(&all, name)) {
        tracing::info!(name, "removing an upload that was cut off");
        remove(&all, &name);
    }
}

/// The names in a folder, as far as they are text and can be read.
fn names(folder: &OwnedFd) -> Vec<String> {
    let entries = Dir::read_from(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().to_str().map(str::to_owned).ok());
    names.filter(|name| name != "." && name != "..").collect()
}

/// Opens a folder, which is no link, within another.
pub(super) fn open_folder(within: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    Ok(openat(within, name, flags, Mode::empty())?)
}

/// The same, made if it is not there.
pub(super) fn open_or_make(within: impl AsFd, name: &str) -> io::Result<OwnedFd> {
    match mkdirat(&within, name, FOLDER_MODE) {
        Ok(()) | Err(Errno::EXIST) => open_folder(within, name),
        Err(error) => Err(error.into()),
    }
}

const NEW_FILE: OFlags =
    OFlags::CREATE.union(OFlags::EXCL).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
// As any other program's files: who else may read the repository is for its umask to say.
const FOLDER_MODE: Mode = Mode::from_raw_mode(0o777);
const FILE_MODE: Mode = Mode::from_raw_mode(0o666);

/// A name that no other upload has, of this server or of another.
fn fresh_name() -> String {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}-{}-{}", std::process::id(), since.as_nanos(), COUNT.fetch_add(1, Ordering::Relaxed))
}

fn is_held(all: &OwnedFd, name: &str) -> bool {
    // Opening must not wait, whatever somebody has put there.
    let flags = OFlags::RDWR | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let lock =
        open_folder(all, name).and_then(|folder| Ok(openat(&folder, LOCK, flags, Mode::empty())?));
    lock.is_ok_and(|lock| {
        flock(&lock, FlockOperation::NonBlockingLockExclusive) == Err(Errno::WOULDBLOCK)
    })
}

/// Removes a folder with everything in it from an open one; there may be none. No link is followed.
pub(super) fn remove(within: &OwnedFd, name: &str) {
    match fs::remove_dir_all(path_in(within, name)) {
        Ok(()) => {}
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => {
            tracing::warn!(name, %error, "cannot remove what an upload or a removal has left")
        }
    }
}

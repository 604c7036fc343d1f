//! Safe access to files that others can change at any time.
//!
//! A file is opened once, from an [`OpenFolder`] that is held open, one path component at a time
//! and following no link; without blocking, even on a FIFO; and only if it is a regular file.
//! Callers receive a descriptor. So whatever is renamed, replaced or linked meanwhile, only files
//! of that folder are read.

use std::fs::{self, File, Metadata};
use std::io::{self, Read};
use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::os::unix::fs::MetadataExt;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, OFlags};
use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// Flags to open a folder for listing, following no link.
const FOLDER: OFlags =
    OFlags::RDONLY.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);
/// Flags to open a file for reading, following no link and without blocking.
const FILE: OFlags =
    OFlags::RDONLY.union(OFlags::NOFOLLOW).union(OFlags::NONBLOCK).union(OFlags::CLOEXEC);
/// Flags to open an intermediate folder, which need not be readable.
const PASSAGE: OFlags =
    OFlags::PATH.union(OFlags::DIRECTORY).union(OFlags::NOFOLLOW).union(OFlags::CLOEXEC);

/// Device and inode of a folder.
pub type FolderId = (u64, u64);

/// A folder that is held open.
#[derive(Debug)]
pub struct OpenFolder {
    descriptor: OwnedFd,
    id: FolderId,
}

/// A regular file beneath a folder that is held open.
#[derive(Clone, Debug)]
pub struct ConfinedFile {
    folder: Arc<OpenFolder>,
    path: PathBuf,
}

impl OpenFolder {
    /// Opens a folder by an absolute path without links and dots. Fails on an I/O error and on a
    /// link.
    pub fn open(path: &Path) -> io::Result<Self> {
        let root = rustix::fs::open("/", PASSAGE, Mode::empty())?;
        let relative = path.strip_prefix("/").map_err(io::Error::other)?;
        let (descriptor, _) = descend(root, relative, PASSAGE, FOLDER)?;
        let metadata = metadata(&descriptor)?;
        Ok(OpenFolder { descriptor, id: folder_id(&metadata) })
    }

    /// Device and inode of the folder.
    pub fn id(&self) -> FolderId {
        self.id
    }

    /// Descriptor of the folder.
    pub fn descriptor(&self) -> &OwnedFd {
        &self.descriptor
    }

    /// Metadata of the folder.
    pub fn metadata(&self) -> io::Result<Metadata> {
        metadata(&self.descriptor)
    }

    /// Opens a folder beneath it. Fails on an I/O error and on a link.
    pub fn open_folder(&self, path: &Path) -> io::Result<OwnedFd> {
        descend(self.descriptor.try_clone()?, path, FOLDER, FOLDER).map(|(folder, _)| folder)
    }

    /// Opens a regular file beneath it for reading. Fails on an I/O error, on a link, and on any
    /// other kind of file.
    pub fn open_file(&self, path: &Path) -> io::Result<File> {
        let (opened, steps) = descend(self.descriptor.try_clone()?, path, FOLDER, FILE)?;
        let file = File::from(opened);
        if steps > 0 && file.metadata()?.is_file() { Ok(file) } else { Err(not_regular_error()) }
    }

    /// Returns a handle of a file beneath it, to be opened later.
    pub fn file(self: &Arc<Self>, path: PathBuf) -> ConfinedFile {
        ConfinedFile { folder: self.clone(), path }
    }
}

impl ConfinedFile {
    /// Returns a handle of the file at a path, in the folder that is there now. Fails on an I/O
    /// error.
    pub fn from_path(path: &Path) -> io::Result<Self> {
        let name = path.file_name().ok_or_else(not_regular_error)?;
        let folder =
            path.parent().filter(|folder| *folder != Path::new("")).unwrap_or(Path::new("."));
        Ok(Arc::new(OpenFolder::open(&folder.canonicalize()?)?).file(name.into()))
    }

    /// Path relative to the folder.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Opens the file for reading. Fails on an I/O error, on a link, and if it is no longer a
    /// regular file.
    pub fn open(&self) -> io::Result<File> {
        self.folder.open_file(&self.path)
    }

    /// Reads the file, or its first `limit` bytes if it is larger.
    pub fn read(&self, limit: u64) -> io::Result<Vec<u8>> {
        read_from(self.open()?, limit)
    }
}

/// Handles are equal if they have the same path in the same folder.
impl PartialEq for ConfinedFile {
    fn eq(&self, other: &Self) -> bool {
        self.path == other.path && self.folder.id == other.folder.id
    }
}

impl Eq for ConfinedFile {}

/// Returns a path to an entry of an open folder, valid wherever the folder has been moved. Links in
/// `path` are followed.
pub fn path_in(folder: impl AsFd, path: impl AsRef<Path>) -> PathBuf {
    link_to(folder).join(path)
}

/// Returns the present path of an open folder. Fails on an I/O error.
pub fn current_path(folder: impl AsFd) -> io::Result<PathBuf> {
    fs::read_link(link_to(folder))
}

fn link_to(folder: impl AsFd) -> PathBuf {
    Path::new("/proc/self/fd").join(folder.as_fd().as_raw_fd().to_string())
}

/// Opens a regular file for reading. Never blocks: a FIFO without a writer would block its reader
/// for ever. Fails on a link and on any other kind of file.
pub fn open_regular(path: &Path) -> io::Result<File> {
    let file = File::from(rustix::fs::open(path, FILE, Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(not_regular_error()) }
}

/// Reads a regular file, or its first `limit` bytes if it is larger.
pub fn read_regular(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    read_from(open_regular(path)?, limit)
}

/// Reads an open file, or its first `limit` bytes if it is larger.
pub(crate) fn read_from(file: File, limit: u64) -> io::Result<Vec<u8>> {
    let size = file.metadata()?.len().min(limit);
    let mut content = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
    file.take(limit).read_to_end(&mut content)?;
    Ok(content)
}

/// Opens a path relative to a folder, one component at a time. Returns the descriptor and the
/// number of components.
fn descend(
    from: OwnedFd,
    path: &Path,
    through: OFlags,
    last: OFlags,
) -> io::Result<(OwnedFd, usize)> {
    let (mut at, mut steps) = (from, 0);
    let mut names = path.components().peekable();

    if names.peek().is_none() {
        at = rustix::fs::openat(&at, ".", last, Mode::empty())?;
    }

    while let Some(name) = names.next() {
        let Component::Normal(name) = name else {
            return Err(io::Error::other("not a plain path"));
        };
        let flags = if names.peek().is_none() { last } else { through };
        at = rustix::fs::openat(&at, name, flags, Mode::empty())?;
        steps += 1;
    }

    Ok((at, steps))
}

fn metadata(descriptor: &OwnedFd) -> io::Result<Metadata> {
    File::from(descriptor.try_clone()?).metadata()
}

/// Returns the device and the inode of a folder.
pub fn folder_id(metadata: &fs::Metadata) -> FolderId {
    (metadata.dev(), metadata.ino())
}

fn not_regular_error() -> io::Error {
    io::Error::other("not a regular file")
}

// === Hashing ===

/// Read size of hashing. This much takes less than a millisecond to hash, and the cost of system
/// calls is negligible.
pub const HASH_CHUNK: usize = 256 << 10;

/// Returns the digest of everything that a reader has left. Fails on a read error.
pub(crate) fn digest_of(mut reader: impl Read) -> io::Result<Digest> {
    digest_chunks(HASH_CHUNK, |chunk| read_chunk(&mut reader, chunk))
}

/// Returns the digest of all chunks. `read` fills a buffer of `size` bytes and returns the number
/// of bytes; 0 ends the content. Fails as `read` does.
pub fn digest_chunks<E>(
    size: usize,
    mut read: impl FnMut(&mut [u8]) -> Result<usize, E>,
) -> Result<Digest, E> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; size];

    loop {
        let length = read(&mut chunk)?;
        if length == 0 {
            return Ok(hasher.into());
        }
        hasher.update(chunk.get(..length).unwrap_or_default());
    }
}

/// Reads once, and again if interrupted. Returns the number of bytes.
fn read_chunk(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn fifo(path: &Path) {
        let fifo = rustix::fs::FileType::Fifo;
        rustix::fs::mknodat(rustix::fs::CWD, path, fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
    }

    #[test]
    fn only_regular_files_are_opened_and_without_blocking() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "content").unwrap();
        symlink("file", at("link")).unwrap();
        fifo(&at("fifo"));
        assert_eq!(read_regular(&at("file"), 3).unwrap(), b"con");
        assert_eq!(read_regular(&at("file"), 100).unwrap(), b"content");

        for other in ["link", "fifo", ".", "nothing"] {
            assert!(open_regular(&at(other)).is_err(), "{other}");
        }
    }

    #[test]
    fn files_of_a_moved_folder_are_opened_without_following_links() {
        let around = tempfile::tempdir().unwrap();
        let around = around.path().canonicalize().unwrap();
        let (inside, moved) = (around.join("inside"), around.join("moved"));
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::write(inside.join("a/file"), "content").unwrap();
        symlink("a", inside.join("link")).unwrap();
        symlink("a/file", inside.join("file")).unwrap();
        fifo(&inside.join("fifo"));
        symlink("inside", around.join("way")).unwrap();
        assert!(
            OpenFolder::open(&around.join("way")).is_err()
                && OpenFolder::open(&around.join("way/a")).is_err()
        );

        let folder = Arc::new(OpenFolder::open(&inside).unwrap());
        let file = folder.file("a/file".into());

        for other in ["link/file", "file", "fifo", "a", "", "../inside/a/file", "nothing"] {
            assert!(folder.open_file(Path::new(other)).is_err(), "{other}");
        }

        assert!(
            folder.open_folder(Path::new("a")).is_ok()
                && folder.open_folder(Path::new("link")).is_err()
        );

        fs::rename(&inside, &moved).unwrap();
        fs::create_dir_all(inside.join("a")).unwrap();
        fs::write(inside.join("a/file"), "another").unwrap();
        assert_eq!(file.read(100).unwrap(), b"content");
        assert_eq!(fs::read(path_in(folder.descriptor(), "a/file")).unwrap(), b"content");

        assert_ne!(file, Arc::new(OpenFolder::open(&inside).unwrap()).file("a/file".into()));
    }
}

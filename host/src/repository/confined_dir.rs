//! Confined access to the files beneath one root.
//!
//! A tenant that can write into a repository must not be able to make the host read any other file.
//! So a link is resolved to its real path, which must lie beneath the root and is then opened from
//! the root down, one component at a time, following no link: replacing a folder by a link in
//! between makes the opening fail. Only regular files are read, and opening never blocks, not even
//! on a FIFO. The root is held open, so all steps use the same folder even if its path later leads
//! elsewhere.

use std::cell::Cell;
use std::ffi::OsStr;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{AtFlags, Dir, FileType, Stat, statat};

use super::layout::is_temporary;
use super::root::OpenRoot;
use super::stability::Stamp;
pub(crate) use crate::disk_errors::{error_text, read_error_text};
use crate::files::{ConfinedFile, OpenFolder, current_path, path_in};

/// A repository's root, opened for one scan.
pub(super) struct ConfinedDir {
    folder: Arc<OpenFolder>,
    /// Path of the root.
    real: PathBuf,
    stamp: Stamp,
    /// Number of entries that may still be listed.
    entries_left: Cell<usize>,
}

/// Maximum number of entries that an upload may list.
pub(super) const MAX_UPLOAD_ENTRIES: usize = 100_000;

/// An entry of a folder.
pub(super) struct DirEntry {
    pub(super) name: String,
    pub(super) kind: EntryKind,
}

/// The kind of an entry, after links were followed.
pub(super) enum EntryKind {
    /// A regular file.
    File(FileRef),
    /// A folder.
    Folder(FileRef),
    /// A FIFO, a socket or a device.
    Special,
    /// A link that cannot be followed, or an unreadable entry, with the reason.
    Broken(String),
}

/// A path beneath the root, free of links, and its stamp.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct FileRef {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

impl ConfinedDir {
    /// Opens a root for a scan that may list this many entries. Fails on an I/O error.
    pub(super) fn new(root: OpenRoot, entries: usize) -> io::Result<Self> {
        let OpenRoot { folder, real } = root;
        let stamp = stamp(&folder.metadata()?);
        Ok(ConfinedDir { folder, real, stamp, entries_left: Cell::new(entries) })
    }

    /// The root itself.
    pub(super) fn root(&self) -> FileRef {
        FileRef { path: PathBuf::new(), stamp: self.stamp }
    }

    /// Descriptor of the root.
    pub(super) fn folder(&self) -> &OwnedFd {
        self.folder.descriptor()
    }

    /// Returns `file` with an absolute path.
    pub(super) fn absolute(&self, file: FileRef) -> FileRef {
        FileRef { path: self.real.join(file.path), ..file }
    }

    /// Returns a handle of a file, to be opened later.
    pub(super) fn file(&self, path: PathBuf) -> ConfinedFile {
        self.folder.file(path)
    }

    /// Returns the entries of a folder, sorted by name, without hidden and temporary ones. A name
    /// that is not UTF-8 contains replacement characters, which no valid name has. Fails on an I/O
    /// error, and if the limit of entries is exceeded.
    pub(super) fn list(&self, path: &Path) -> io::Result<Vec<DirEntry>> {
        let folder = self.folder.open_folder(path)?;
        let mut entries = Vec::new();

        for entry in Dir::read_from(&folder)? {
            let entry = entry?;
            let name = OsStr::from_bytes(entry.file_name().to_bytes());

            if name == "." || name == ".." {
                continue;
            }

            self.count_entry()?;

            let utf8_name = name.to_string_lossy().into_owned();
            if !is_temporary(&utf8_name) {
                let kind = self.kind(&folder, path, name);
                entries.push(DirEntry { name: utf8_name, kind });
            }
        }

        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    fn count_entry(&self) -> io::Result<()> {
        let left = self.entries_left.get().checked_sub(1);
        self.entries_left.set(left.ok_or_else(|| io::Error::other(TOO_MANY_ENTRIES))?);
        Ok(())
    }

    /// Opens a regular file for reading. Fails if the path now contains a link, or is not a regular
    /// file.
    pub(super) fn open_file(&self, path: &Path) -> io::Result<(File, Stamp)> {
        let file = self.folder.open_file(path)?;
        let stamp = stamp(&file.metadata()?);
        Ok((file, stamp))
    }

    /// Opens a folder. Fails on a link, and on an I/O error.
    pub(super) fn open_folder(&self, path: &Path) -> io::Result<(OwnedFd, Stamp)> {
        let folder = File::from(self.folder.open_folder(path)?);
        let stamp = stamp(&folder.metadata()?);
        Ok((folder.into(), stamp))
    }

    /// Returns the kind of an entry of an open folder.
    fn kind(&self, folder: &OwnedFd, path: &Path, name: &OsStr) -> EntryKind {
        let stat = match statat(folder, name, AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => stat,
            Err(error) => {
                return EntryKind::Broken(format!(
                    "cannot be read: {}",
                    read_error_text(&error.into())
                ));
            }
        };

        let path = path.join(name);
        if FileType::from_raw_mode(stat.st_mode) != FileType::Symlink {
            return kind_from_stat(path, &stat);
        }

        match self.resolve_link(&path) {
            Ok((path, stat)) => kind_from_stat(path, &stat),
            Err(why) => EntryKind::Broken(why),
        }
    }

    /// Follows a link that leads to an entry beneath the root.
    fn resolve_link(&self, path: &Path) -> Result<(PathBuf, Stat), String> {
        let nowhere =
            |error: io::Error| format!("a link that leads nowhere: {}", error_text(&error));
        let root = current_path(self.folder()).map_err(nowhere)?;
        let real = fs::canonicalize(path_in(self.folder(), path)).map_err(nowhere)?;
        let Ok(path) = real.strip_prefix(root) else {
            return Err(
                "a link that leaves the repository; only links within it are followed".into()
            );
        };

        let at = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        let stat = statat(self.folder(), at, AtFlags::SYMLINK_NOFOLLOW);
        let stat =
            stat.map_err(|error| format!("cannot be read: {}", read_error_text(&error.into())))?;

        Ok((path.to_owned(), stat))
    }
}

fn kind_from_stat(path: PathBuf, stat: &Stat) -> EntryKind {
    let file_ref = FileRef { path, stamp: stamp_from_stat(stat) };
    match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => EntryKind::File(file_ref),
        FileType::Directory => EntryKind::Folder(file_ref),
        _ => EntryKind::Special,
    }
}

const TOO_MANY_ENTRIES: &str = "the repository holds more files and folders than are scanned; remove some, or raise max_versions in wardian.toml";

#[allow(clippy::unnecessary_cast)] // The types of these fields differ between machines.
fn stamp_from_stat(stat: &Stat) -> Stamp {
    Stamp {
        device: stat.st_dev as u64,
        inode: stat.st_ino as u64,
        size: stat.st_size as u64,
        modified: (stat.st_mtime as i64, stat.st_mtime_nsec as i64),
        changed: (stat.st_ctime as i64, stat.st_ctime_nsec as i64),
    }
}

/// Returns the stamp of a file.
pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn tree(root: &Path) -> ConfinedDir {
        let real = root.canonicalize().unwrap();
        ConfinedDir::new(
            OpenRoot { folder: Arc::new(OpenFolder::open(&real).unwrap()), real },
            MAX_UPLOAD_ENTRIES,
        )
        .unwrap()
    }

    fn kind_of(tree: &ConfinedDir, name: &str) -> String {
        match tree
            .list(Path::new(""))
            .unwrap()
            .into_iter()
            .find(|entry| entry.name == name)
            .map(|entry| entry.kind)
        {
            Some(EntryKind::File(file_ref)) => format!("file {}", file_ref.path.display()),
            Some(EntryKind::Folder(_)) => "folder".into(),
            Some(EntryKind::Special) => "special".into(),
            Some(EntryKind::Broken(why)) => why,
            None => "not listed".into(),
        }
    }

    #[test]
    fn links_are_followed_only_within_the_root() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("secret"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        let at = |name: &str| root.path().join(name);
        fs::create_dir(at("..2026")).unwrap();
        fs::write(at("..2026/iris.wasm"), "x").unwrap();
        symlink("..2026", at("..data")).unwrap();
        symlink("..data/iris.wasm", at("iris.wasm")).unwrap();
        symlink(outside.path().join("secret"), at("leaves")).unwrap();
        symlink("../../../../etc/passwd", at("climbs")).unwrap();
        symlink("nothing", at("dangles")).unwrap();
        symlink("loops", at("loops")).unwrap();
        let tree = tree(root.path());
        assert_eq!(kind_of(&tree, "iris.wasm"), "file ..2026/iris.wasm");
        assert!(kind_of(&tree, "leaves").contains("leaves the repository"));
        assert!(kind_of(&tree, "climbs").starts_with("a link that"));
        assert!(kind_of(&tree, "dangles").contains("leads nowhere"));
        assert!(kind_of(&tree, "loops").contains("leads nowhere"));

        assert_eq!(kind_of(&tree, "..data"), "not listed");
    }

    #[test]
    fn a_folder_replaced_by_a_link_after_the_scan_is_not_entered() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("model.wasm"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("iris")).unwrap();
        let tree = tree(root.path());
        assert!(tree.open_file(Path::new("iris/model.wasm")).is_err());
        symlink(outside.path().join("model.wasm"), root.path().join("x.wasm")).unwrap();

        assert!(tree.open_file(Path::new("x.wasm")).is_err());
    }

    #[test]
    fn a_fifo_neither_blocks_nor_is_read() {
        use rustix::fs::{CWD, Mode, mknodat};
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pipe.wasm");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let tree = tree(root.path());
        assert_eq!(kind_of(&tree, "pipe.wasm"), "special");

        assert!(tree.open_file(Path::new("pipe.wasm")).is_err());
    }
}

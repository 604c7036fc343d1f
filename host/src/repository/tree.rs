//! The file system under one root, and nothing outside it.
//!
//! Whoever may write into a repository must not be able to make the host read any other file. So a link is
//! followed by asking for the real path, that path must lie beneath the root, and it is then opened from the
//! root down, one component at a time, following no link: swapping a folder for a link in between makes the
//! opening fail. Nothing but regular files is ever read, and opening never waits, not even for a FIFO.

use std::cell::Cell;
use std::fs::{self, File, Metadata};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, OFlags};

use super::layout::is_temporary;
use super::settle::Stamp;
use crate::disk;

/// A repository's root, opened.
pub(super) struct Tree {
    real: PathBuf,
    folder: OwnedFd,
    stamp: Stamp,
    /// How many more entries may be listed.
    entries: Cell<usize>,
}

/// Entries that one look at a part of a repository may list.
pub(super) const MAX_ENTRIES: usize = 100_000;

/// An entry of a folder.
pub(super) struct Entry {
    pub(super) name: String,
    pub(super) kind: Kind,
}

/// What an entry is, after following links.
pub(super) enum Kind {
    /// A regular file.
    File(Place),
    /// A folder.
    Folder(Place),
    /// A FIFO, a socket or a device.
    Special,
    /// It cannot be followed; why.
    Broken(String),
}

/// A real path beneath the root, and what it showed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) path: PathBuf,
    pub(super) stamp: Stamp,
}

impl Tree {
    /// Opens the root, which may itself be a link, to list at most so many entries. Fails as the file system does.
    pub(super) fn open(root: &Path, entries: usize) -> io::Result<Self> {
        let real = fs::canonicalize(root)?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let folder = File::from(rustix::fs::open(&real, flags, Mode::empty())?);
        let stamp = stamp(&folder.metadata()?);
        Ok(Tree { real, folder: folder.into(), stamp, entries: Cell::new(entries) })
    }

    /// The root itself.
    pub(super) fn root(&self) -> Place {
        Place { path: self.real.clone(), stamp: self.stamp }
    }

    /// The root itself, opened.
    pub(super) fn folder(&self) -> &OwnedFd {
        &self.folder
    }

    /// The entries of a folder of this tree, sorted by name, without hidden and temporary ones. A name that is
    /// not UTF-8 comes with replacement characters, which no valid name has. Fails as the file system does, and if
    /// there are more entries than may be listed.
    pub(super) fn list(&self, folder: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(folder)? {
            let entry = entry?;
            let left = self.entries.get().checked_sub(1).ok_or_else(|| io::Error::other(TOO_MANY_ENTRIES))?;
            self.entries.set(left);
            let name = entry.file_name().to_string_lossy().into_owned();
            if !is_temporary(&name) {
                entries.push(Entry { name, kind: self.kind(&entry.path()) });
            }
        }
        entries.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(entries)
    }

    /// Opens a regular file of this tree for reading. Fails if the path has come to lead over a link, or to
    /// anything but a regular file.
    pub(super) fn open_file(&self, place: &Path) -> io::Result<(File, Stamp)> {
        let relative = place.strip_prefix(&self.real).map_err(io::Error::other)?;
        let through = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let mut at = self.folder.try_clone()?;
        let mut names = relative.components().peekable();
        while let Some(name) = names.next() {
            let last = names.peek().is_none();
            let flags = through | if last { OFlags::NONBLOCK } else { OFlags::DIRECTORY };
            at = rustix::fs::openat(&at, name.as_os_str(), flags, Mode::empty())?;
        }
        let file = File::from(at);
        let metadata = file.metadata()?;
        let regular = metadata.is_file().then(|| stamp(&metadata));
        regular.map(|stamp| (file, stamp)).ok_or_else(|| io::Error::other("not a regular file"))
    }

    fn kind(&self, path: &Path) -> Kind {
        match self.follow(path) {
            Ok((path, metadata)) if metadata.is_file() => Kind::File(Place { path, stamp: stamp(&metadata) }),
            Ok((path, metadata)) if metadata.is_dir() => Kind::Folder(Place { path, stamp: stamp(&metadata) }),
            Ok(_) => Kind::Special,
            Err(why) => Kind::Broken(why),
        }
    }

    fn follow(&self, path: &Path) -> Result<(PathBuf, Metadata), String> {
        let cannot = |error: io::Error| format!("cannot be read: {}", unreadable(&error));
        let metadata = fs::symlink_metadata(path).map_err(cannot)?;
        if !metadata.is_symlink() {
            return Ok((path.into(), metadata));
        }
        let real = fs::canonicalize(path).map_err(|error| format!("a link that leads nowhere: {}", plain(&error)))?;
        if !real.starts_with(&self.real) {
            return Err("a link that leaves the repository; only links within it are followed".into());
        }
        let metadata = fs::symlink_metadata(&real).map_err(cannot)?;
        Ok((real, metadata))
    }
}

const TOO_MANY_ENTRIES: &str = "the repository holds more files and folders than are looked at; remove some, or raise max_versions in wardian.toml";

/// The stamp of a file.
pub(crate) fn stamp(metadata: &Metadata) -> Stamp {
    Stamp {
        device: metadata.dev(),
        inode: metadata.ino(),
        size: metadata.size(),
        modified: (metadata.mtime(), metadata.mtime_nsec()),
        changed: (metadata.ctime(), metadata.ctime_nsec()),
    }
}

/// An error of the file system without its number, which tells users nothing.
pub(crate) fn plain(error: &io::Error) -> String {
    if disk::is_full(error) {
        return "the disk is full; free space on it".into();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// An error that kept something from being read, with what would mend it.
pub(crate) fn unreadable(error: &io::Error) -> String {
    let text = plain(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => format!("{text}; the user that runs wardian must be able to read it"),
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    fn kind_of(tree: &Tree, name: &str) -> String {
        match tree.list(&tree.real).unwrap().into_iter().find(|entry| entry.name == name).map(|entry| entry.kind) {
            Some(Kind::File(place)) => format!("file {}", place.path.strip_prefix(&tree.real).unwrap().display()),
            Some(Kind::Folder(_)) => "folder".into(),
            Some(Kind::Special) => "special".into(),
            Some(Kind::Broken(why)) => why,
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
        let tree = Tree::open(root.path(), MAX_ENTRIES).unwrap();
        assert_eq!(kind_of(&tree, "iris.wasm"), "file ..2026/iris.wasm");
        assert!(kind_of(&tree, "leaves").contains("leaves the repository"));
        assert!(kind_of(&tree, "climbs").starts_with("a link that"));
        assert!(kind_of(&tree, "dangles").contains("leads nowhere"));
        assert!(kind_of(&tree, "loops").contains("leads nowhere"));
        assert_eq!(kind_of(&tree, "..data"), "not listed");
    }

    #[test]
    fn a_folder_swapped_for_a_link_after_the_look_is_not_entered() {
        let outside = tempfile::tempdir().unwrap();
        fs::write(outside.path().join("model.wasm"), "x").unwrap();
        let root = tempfile::tempdir().unwrap();
        symlink(outside.path(), root.path().join("iris")).unwrap();
        let tree = Tree::open(root.path(), MAX_ENTRIES).unwrap();
        assert!(tree.open_file(&tree.real.join("iris/model.wasm")).is_err());
        symlink(outside.path().join("model.wasm"), root.path().join("x.wasm")).unwrap();
        assert!(tree.open_file(&tree.real.join("x.wasm")).is_err());
    }

    #[test]
    fn what_may_not_be_read_is_told_with_what_it_needs() {
        let told = unreadable(&io::Error::from_raw_os_error(13));
        assert_eq!(told, "permission denied; the user that runs wardian must be able to read it");
        assert_eq!(unreadable(&io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    #[test]
    fn a_fifo_is_neither_waited_for_nor_read() {
        let root = tempfile::tempdir().unwrap();
        let path = root.path().join("pipe.wasm");
        rustix::fs::mknodat(rustix::fs::CWD, &path, rustix::fs::FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        let tree = Tree::open(root.path(), MAX_ENTRIES).unwrap();
        assert_eq!(kind_of(&tree, "pipe.wasm"), "special");
        assert!(tree.open_file(&tree.real.join("pipe.wasm")).is_err());
    }
}

//! The real path of a folder: every symbolic link followed, with the folders and links on the way.

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::files::{FolderId, folder_id};

/// Maximum number of links, as in the kernel.
const MAX_SYMLINKS: usize = 40;

/// A path with every symbolic link followed, and the folders and links on the way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ResolvedPath {
    /// The path without links and dots.
    pub(super) real: PathBuf,
    /// The id of each component of that path, beginning with the file system's root.
    pub(super) folders: Vec<FolderId>,
    /// The links that were followed, by their own real paths.
    pub(super) links: BTreeSet<PathBuf>,
}

impl ResolvedPath {
    /// Returns the folder at the end of the path.
    pub(super) fn folder(&self) -> Option<FolderId> {
        self.folders.last().copied()
    }
}

/// Follows every symbolic link of an absolute path. Fails on an I/O error, and with `ELOOP` after
/// too many links.
pub(super) fn resolve_symlinks(path: &Path) -> io::Result<ResolvedPath> {
    let root = folder_id(&fs::symlink_metadata("/")?);
    let mut found = ResolvedPath { real: "/".into(), folders: vec![root], links: BTreeSet::new() };
    let (mut left, mut followed) = (steps(path), 0);
    while let Some(step) = left.pop() {
        if step == ".." {
            found.real.pop();
            // The parent of the root is the root.
            found.folders.truncate(found.folders.len().saturating_sub(1).max(1));
            continue;
        }

        let next = found.real.join(&step);
        let metadata = fs::symlink_metadata(&next)?;

        if !metadata.is_symlink() {
            found.folders.push(folder_id(&metadata));
            found.real = next;
            continue;
        }

        followed += 1;
        if followed > MAX_SYMLINKS {
            return Err(rustix::io::Errno::LOOP.into());
        }

        let target = fs::read_link(&next)?;
        found.links.insert(next);

        if target.is_absolute() {
            found.real = "/".into();
            found.folders.truncate(1);
        }

        left.extend(steps(&target));
    }
    Ok(found)
}

/// Returns the components of a path in reverse order.
fn steps(path: &Path) -> Vec<OsString> {
    let steps = path.components().filter_map(|component| match component {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    });

    let mut steps: Vec<_> = steps.collect();
    steps.reverse();
    steps
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn paths_are_resolved_as_the_kernel_resolves_them() {
        let around = tempfile::tempdir().unwrap();
        let around = around.path().canonicalize().unwrap();
        let at = |name: &str| around.join(name);
        fs::create_dir_all(at("a/b")).unwrap();
        symlink("a", at("relative")).unwrap();
        symlink(at("relative/b"), at("absolute")).unwrap();
        symlink("loops", at("loops")).unwrap();

        for (path, links) in [
            ("a/b", &[][..]),
            ("a/../a/./b", &[]),
            ("relative/b", &["relative"]),
            ("absolute", &["absolute", "relative"]),
            ("absolute/../b", &["absolute", "relative"]),
        ] {
            let found = resolve_symlinks(&at(path)).unwrap();
            assert_eq!(found.real, at("a/b"), "{path}");
            assert_eq!(found.folder(), Some(folder_id(&fs::metadata(at(path)).unwrap())), "{path}");
            assert_eq!(found.folders.len(), found.real.components().count(), "{path}");
            assert_eq!(found.links, links.iter().map(|link| at(link)).collect(), "{path}");
        }

        assert!(
            resolve_symlinks(&at("loops")).is_err() && resolve_symlinks(&at("a/nothing")).is_err()
        );
    }
}

//! The folder of a version in the repository, and the steps that change it atomically.

use std::os::fd::{AsFd, OwnedFd};

use rustix::fs::{
    AtFlags, Dir, FileType, RenameFlags, fsync, renameat, renameat_with, statat, unlinkat,
};
use rustix::io::Errno;

use super::staging_dir::{self, StagingDir, VERSION, open_folder, open_or_create};
use super::{UploadError, UploadTarget};
use crate::model::{ModelName, Version};
use crate::repository::confined_dir::ConfinedDir;
use crate::repository::layout::{COMPONENT, INTERCEPTORS, SETTINGS};

/// The result of placing a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PutOutcome {
    /// There was no component before.
    New,
    /// It replaced another component.
    Replaced,
}

/// The folders of a version that exist.
#[derive(Default)]
pub(super) struct Found {
    pub(super) model: Option<OwnedFd>,
    pub(super) version: Option<OwnedFd>,
    /// True if the version has a component.
    pub(super) component: bool,
}

/// Opens the folders of a version, as far as they exist. Fails if a file or link is in the way that
/// an upload must not change.
pub(super) fn find(tree: &ConfinedDir, target: &UploadTarget) -> Result<Found, UploadError> {
    find_within(tree.folder(), target)
}

/// Opens the folders of a version in the folder that holds its model's.
fn find_within(shelf: impl AsFd, target: &UploadTarget) -> Result<Found, UploadError> {
    let name = target.name.base_name();
    let number = target.version.to_string();

    let bare = kind(&shelf, &format!("{name}.wasm"))?;
    if bare.is_some_and(|kind| kind != FileType::Directory) {
        return conflict(format!(
            "the model is the file {name}.wasm, which has no numbered versions; remove it, or move it to \
             {name}/1/{COMPONENT}"
        ));
    }

    let mut found = Found { model: folder(shelf, name, name)?, ..Found::default() };
    if let Some(model) = &found.model {
        found.version = folder(model, &number, &format!("{name}/{number}"))?;
    }

    if let Some(version) = &found.version {
        found.component = match kind(version, COMPONENT)? {
            None => false,
            Some(FileType::RegularFile) => true,
            Some(_) => {
                return conflict(format!(
                    "{name}/{number}/{COMPONENT} is not a regular file; remove it first"
                ));
            }
        };
    }

    Ok(found)
}

/// Moves a staged component into place, atomically and durably.
pub(super) fn put(
    tree: &ConfinedDir,
    target: &UploadTarget,
    staged: &StagingDir,
) -> Result<PutOutcome, UploadError> {
    let found = find(tree, target)?;
    let Some(version) = found.version else { return put_folder(tree, target, staged, found.model) };

    renameat(staged.version()?, COMPONENT, &version, COMPONENT)?;
    fsync(&version)?;
    Ok(if found.component { PutOutcome::Replaced } else { PutOutcome::New })
}

/// Moves the staged files of a whole version into place. They replace those of the version
/// atomically and durably; its former files are then in the staging directory. With `settings`, the
/// staged settings become those of the model first.
pub(super) fn put_all(
    tree: &ConfinedDir,
    target: &UploadTarget,
    staged: &StagingDir,
    settings: bool,
) -> Result<PutOutcome, UploadError> {
    let found = find(tree, target)?;
    if settings {
        let name = target.name.as_str();
        let model = found.model.as_ref().map(|model| model.try_clone()).transpose()?;
        let model = model.map_or_else(|| open_or_create(tree.folder(), name), Ok)?;
        renameat(staged.folder(), SETTINGS, &model, SETTINGS)?;
        fsync(&model)?;
        fsync(tree.folder())?;
    }

    match found.model {
        Some(model) if found.version.is_some() => {
            exchange(tree, target, staged, &model)?;
            fsync(&model)?;
            Ok(PutOutcome::Replaced)
        }
        model => put_folder(tree, target, staged, model),
    }
}

/// Exchanges the staged folder and that of the version, in one step where the file system can.
fn exchange(
    tree: &ConfinedDir,
    target: &UploadTarget,
    staged: &StagingDir,
    model: &OwnedFd,
) -> Result<(), UploadError> {
    let number = target.version.to_string();
    let flags = RenameFlags::EXCHANGE;
    match renameat_with(staged.folder(), VERSION, model, &number, flags) {
        Ok(()) => return Ok(()),
        Err(Errno::INVAL | Errno::NOSYS | Errno::NOTSUP) => {}
        Err(error) => return Err(error.into()),
    }

    // In two steps, quickly enough for no scan to take the version for deleted.
    let hidden = staging_dir::new_deleted_name();
    renameat(model, &number, tree.folder(), &hidden)?;
    let placed = renameat(staged.folder(), VERSION, model, &number);
    if placed.is_err() {
        let _ = renameat(tree.folder(), &hidden, model, &number);
    }
    placed?;
    staging_dir::remove(tree.folder(), &hidden);
    Ok(())
}

/// Returns true if the model has a folder of any version.
pub(super) fn has_versions(tree: &ConfinedDir, target: &UploadTarget) -> Result<bool, UploadError> {
    let Some(model) = find(tree, target)?.model else { return Ok(false) };
    for entry in Dir::read_from(&model)? {
        let entry = entry?;
        if entry.file_name().to_str().ok().and_then(Version::parse).is_some() {
            return Ok(true);
        }
    }
    Ok(false)
}

fn put_folder(
    tree: &ConfinedDir,
    target: &UploadTarget,
    staged: &StagingDir,
    model: Option<OwnedFd>,
) -> Result<PutOutcome, UploadError> {
    let name = target.name.as_str();
    let model = model.map_or_else(|| open_or_create(tree.folder(), name), Ok)?;

    // Renaming a folder does not replace another one, unless that is empty.
    let renamed = renameat(staged.folder(), VERSION, &model, target.version.to_string());
    if let Err(error) = renamed {
        remove_if_empty(tree.folder(), name);
        return match error {
            Errno::NOTEMPTY | Errno::EXIST | Errno::NOTDIR => {
                conflict("another upload placed it meanwhile; try again".into())
            }
            error => Err(error.into()),
        };
    }

    fsync(&model)?;
    fsync(tree.folder())?;

    Ok(PutOutcome::New)
}

/// Renames a version's folder to a hidden name in the root, so that all of it disappears at once.
/// Needs no space on a full disk.
pub(super) fn move_aside(
    tree: &ConfinedDir,
    target: &UploadTarget,
    hidden: &str,
) -> Result<(), UploadError> {
    let shelf = shelf(tree, &target.name)?.ok_or(UploadError::NotFound)?;
    let Found { model: Some(model), version: Some(_), .. } = find_within(&shelf, target)? else {
        return Err(UploadError::NotFound);
    };

    renameat(&model, target.version.to_string(), tree.folder(), hidden)?;
    fsync(&model)?;
    remove_if_empty(&shelf, target.name.base_name());
    fsync(&shelf)?;
    fsync(tree.folder())?;

    Ok(())
}

/// Opens the folder that holds a model's or an interceptor's folder; `None` if there is none.
fn shelf(tree: &ConfinedDir, name: &ModelName) -> Result<Option<OwnedFd>, UploadError> {
    if name.is_interceptor() {
        return folder(tree.folder(), INTERCEPTORS, INTERCEPTORS);
    }
    Ok(Some(tree.folder().try_clone()?))
}

fn remove_if_empty(shelf: impl AsFd, name: &str) {
    // Fails if the folder is not empty.
    let _ = unlinkat(shelf, name, AtFlags::REMOVEDIR);
}

fn folder(within: impl AsFd, name: &str, path: &str) -> Result<Option<OwnedFd>, UploadError> {
    match kind(&within, name)? {
        None => Ok(None),
        Some(FileType::Directory) => Ok(Some(open_folder(within, name)?)),
        Some(FileType::Symlink) => {
            conflict(format!("{path} is a symbolic link; uploads follow none"))
        }
        Some(_) => conflict(format!("{path} is not a folder; remove it first")),
    }
}

/// Returns the type of an entry, following no link.
fn kind(within: impl AsFd, name: &str) -> Result<Option<FileType>, UploadError> {
    match statat(within, name, AtFlags::SYMLINK_NOFOLLOW) {
        Ok(stat) => Ok(Some(FileType::from_raw_mode(stat.st_mode))),
        Err(Errno::NOENT) => Ok(None),
        Err(error) => Err(error.into()),
    }
}

fn conflict<T>(reason: String) -> Result<T, UploadError> {
    Err(UploadError::Conflict(reason))
}

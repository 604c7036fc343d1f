//! Texts and checks of file system errors that an operator can correct at once, such as a full disk
//! or a directory that is not writable.

use std::fs;
use std::io;
use std::path::Path;

use rustix::fs::{Access, access};

/// With less free space than this, hardly any write succeeds.
const MIN_FREE_BYTES: u64 = 1 << 20;

/// Returns true if an error means that a disk is full.
pub(crate) fn is_disk_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// Returns the text of an error without its number, which means nothing to users, and without the
/// host path that some errors end with.
pub fn error_text(error: &io::Error) -> String {
    if is_disk_full(error) {
        return "the disk is full; free space on it".into();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// Returns the text of a read error, with a remedy where there is one.
pub fn read_error_text(error: &io::Error) -> String {
    let text = error_text(error);
    match error.kind() {
        io::ErrorKind::PermissionDenied => {
            format!("{text}; the user that runs wardian must be able to read it")
        }
        _ => text,
    }
}

/// Checks that entries can be created in a directory, or that it can be created if it is missing.
/// Changes nothing.
///
/// # Errors
/// If the directory, or its nearest existing ancestor, is no directory or is not writable.
pub fn check_writable(directory: &Path) -> io::Result<()> {
    let existing = directory.ancestors().find(|path| path.symlink_metadata().is_ok());
    // The parent of a relative path of one name is empty.
    let existing = existing.filter(|path| !path.as_os_str().is_empty()).unwrap_or(Path::new("."));

    if !fs::metadata(existing)?.is_dir() {
        let text = format!("{} is not a directory", existing.display());
        return Err(io::Error::new(io::ErrorKind::NotADirectory, text));
    }

    access(existing, Access::WRITE_OK | Access::EXEC_OK).map_err(|error| {
        let text = format!("{} is not writable: {error}", existing.display());
        io::Error::new(error.kind(), text)
    })
}

/// Returns true if the disk of a file or folder has a little free space. Also returns true if this
/// cannot be determined.
pub(crate) fn has_free_space(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= MIN_FREE_BYTES)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_texts_contain_no_host_path() {
        let error = tempfile::tempdir_in("/nowhere").unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
        assert_eq!(error_text(&error), "no such file or directory");
    }

    #[test]
    fn a_permission_error_includes_the_remedy() {
        let told = read_error_text(&io::Error::from_raw_os_error(13));
        assert_eq!(told, "permission denied; the user that runs wardian must be able to read it");
        assert_eq!(read_error_text(&io::Error::from_raw_os_error(2)), "no such file or directory");
    }

    #[test]
    fn a_directory_is_writable_if_its_nearest_ancestor_is() {
        let folder = tempfile::tempdir().unwrap();
        let at = |name: &str| folder.path().join(name);
        fs::write(at("file"), "").unwrap();
        std::os::unix::fs::symlink("nowhere", at("link")).unwrap();

        check_writable(folder.path()).unwrap();
        check_writable(&at("new/below")).unwrap();
        assert_eq!(
            check_writable(&at("file/below")).unwrap_err().kind(),
            io::ErrorKind::NotADirectory
        );
        assert_eq!(check_writable(&at("link")).unwrap_err().kind(), io::ErrorKind::NotFound);
        check_writable(Path::new("no such folder")).unwrap();
        assert!(!at("new").exists());
    }

    #[test]
    fn a_full_disk_is_recognised() {
        assert!(is_disk_full(&io::Error::from(rustix::io::Errno::NOSPC)));
        assert!(is_disk_full(&io::Error::from(rustix::io::Errno::DQUOT)));
        assert!(!is_disk_full(&io::Error::from(rustix::io::Errno::ROFS)));
        assert!(has_free_space(Path::new("no such file")));
    }
}

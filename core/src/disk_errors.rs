//! Texts and checks of file system errors, especially of a full disk: the one error that an
//! operator can correct at once.

use std::io;
use std::path::Path;

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
    fn a_full_disk_is_recognised() {
        assert!(is_disk_full(&io::Error::from(rustix::io::Errno::NOSPC)));
        assert!(is_disk_full(&io::Error::from(rustix::io::Errno::DQUOT)));
        assert!(!is_disk_full(&io::Error::from(rustix::io::Errno::ROFS)));
        assert!(has_free_space(Path::new("no such file")));
    }
}

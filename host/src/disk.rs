//! What is wrong with a file system, as far as those may know who use it; above all whether a disk
//! is full, the one trouble that passes by itself, and that operators can mend at once.

use std::io;
use std::path::Path;

/// With less than this left, hardly anything can be written.
const ROOM: u64 = 1 << 20;

/// True if an error says that there is no room left on a disk.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// An error of the file system without its number, which tells users nothing, and without the path
/// that some errors end with, which is the host's.
pub(crate) fn plain(error: &io::Error) -> String {
    if is_full(error) {
        return "the disk is full; free space on it".into();
    }
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_lowercase()
}

/// True if the disk of a file or folder has room for a little more. One that cannot be asked is
/// taken to have it.
pub(crate) fn has_room(path: &Path) -> bool {
    rustix::fs::statvfs(path)
        .map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_path_of_the_host_is_told() {
        let error = tempfile::tempdir_in("/nowhere").unwrap_err();
        assert!(error.to_string().contains("/nowhere"), "{error}");
        assert_eq!(plain(&error), "no such file or directory");
    }

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(is_full(&io::Error::from(rustix::io::Errno::NOSPC)));
        assert!(is_full(&io::Error::from(rustix::io::Errno::DQUOT)));
        assert!(!is_full(&io::Error::from(rustix::io::Errno::ROFS)));
        assert!(has_room(Path::new("no such file")));
    }
}

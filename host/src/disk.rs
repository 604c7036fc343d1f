//! Whether a disk is full: the one trouble of a file system that passes by itself, and that operators can mend at once.

use std::io;
use std::path::Path;

/// With less than this left, hardly anything can be written.
const ROOM: u64 = 1 << 20;

/// True if an error says that there is no room left on a disk.
pub(crate) fn is_full(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded)
}

/// True if the disk of a file or folder has room for a little more. One that cannot be asked is taken to have it.
pub(crate) fn has_room(path: &Path) -> bool {
    rustix::fs::statvfs(path).map_or(true, |disk| disk.f_bavail.saturating_mul(disk.f_frsize) >= ROOM)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_told_from_other_trouble() {
        assert!(is_full(&io::Error::from(rustix::io::Errno::NOSPC)));
        assert!(is_full(&io::Error::from(rustix::io::Errno::DQUOT)));
        assert!(!is_full(&io::Error::from(rustix::io::Errno::ROFS)));
        assert!(has_room(Path::new("no such file")));
    }
}

//! Digests of files that may change while they are read.

use std::fs::File;
use std::io;

use super::confined_dir::stamp;
use super::sparse_reader::SparseReader;
use super::stability::Stamp;
use crate::files::{HASH_CHUNK, digest_chunks};
use crate::model::Digest;
use crate::tenant::Pacer;

/// Number of chunks between two checks of the file's stamp.
const CHUNKS_PER_CHECK: u64 = 64;

/// Returns the digest of a file whose stamp is `expected`, read from its beginning at `pace`.
/// Returns `None` if the file changes or is removed meanwhile, or if the work is cancelled. Fails
/// on a read error.
pub(super) fn hash_file(file: &File, expected: Stamp, pace: &Pacer) -> io::Result<Option<Digest>> {
    let size = usize::try_from(expected.size).unwrap_or(HASH_CHUNK).clamp(1, HASH_CHUNK);
    let mut content = SparseReader::new(file, expected.size);
    let mut chunks = 0;

    // Fails with `None` if the content is no longer wanted.
    let digest = digest_chunks(size, |chunk| {
        chunks += 1;
        if chunks % CHUNKS_PER_CHECK == 0 && stamp(&file.metadata().map_err(Some)?) != expected {
            return Err(None);
        }

        // A read may wait for the disk.
        match pace.run_blocking(|| content.read(chunk)) {
            Ok(read) => read.map_err(Some),
            Err(_cancelled) => Err(None),
        }
    });

    match digest {
        Ok(digest) => Ok(Some(digest)),
        Err(None) => Ok(None),
        Err(Some(error)) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(content: &[u8], expected: impl FnOnce(Stamp) -> Stamp) -> Option<Digest> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let file = File::open(path).unwrap();
        let expected = expected(stamp(&file.metadata().unwrap()));
        hash_file(&file, expected, &Pacer::unmetered()).unwrap()
    }

    #[test]
    fn the_digest_does_not_depend_on_the_chunks() {
        let content = vec![7; 3 * HASH_CHUNK + 1];
        assert_eq!(digest(&content, |expected| expected), Some(Digest::sha256(&content)));
        assert_eq!(digest(b"", |expected| expected), Some(Digest::sha256(b"")));
    }

    #[test]
    fn a_file_that_changes_is_not_read_to_its_end() {
        let content = vec![7; (CHUNKS_PER_CHECK as usize + 1) * HASH_CHUNK];
        assert_eq!(
            digest(&content, |expected| Stamp { inode: expected.inode + 1, ..expected }),
            None
        );
    }
}

//! Digests of files that are too large to hold in memory.

use std::fs::File;
use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use super::confined_dir::stamp;
use super::stability::Stamp;
use crate::model::Digest;
use crate::tenant::Pacer;

/// Read size. Hashing this much takes less than a millisecond, and the cost of system calls is
/// negligible.
const CHUNK: usize = 256 << 10;

/// Number of chunks between two checks of the file's stamp.
const CHUNKS_PER_CHECK: u64 = 64;

/// Returns the digest of a file whose stamp is `seen`, read from its beginning at `pace`. Returns
/// `None` if the file changes or is removed meanwhile, or if the work is cancelled. Fails on a read
/// error.
pub(super) fn hash_file(file: &File, seen: Stamp, pace: &Pacer) -> io::Result<Option<Digest>> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK.min(usize::try_from(seen.size).unwrap_or(CHUNK).max(1))];
    let mut file = file.take(seen.size);

    for number in 0.. {
        if number % CHUNKS_PER_CHECK == CHUNKS_PER_CHECK - 1
            && stamp(&file.get_ref().metadata()?) != seen
        {
            return Ok(None);
        }
        // A read may wait for the disk.
        let Ok(read) = pace.run_blocking(|| read_retrying(&mut file, &mut chunk)) else {
            return Ok(None);
        };

        match read? {
            0 => break,
            read => hasher.update(&chunk[..read]),
        }
    }

    Ok(Some(Digest::finish(hasher)))
}

fn read_retrying(reader: &mut impl Read, chunk: &mut [u8]) -> io::Result<usize> {
    loop {
        match reader.read(chunk) {
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            read => return read,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn digest(content: &[u8], seen: impl FnOnce(Stamp) -> Stamp) -> Option<Digest> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        std::fs::write(&path, content).unwrap();
        let file = File::open(path).unwrap();
        let seen = seen(stamp(&file.metadata().unwrap()));
        hash_file(&file, seen, &Pacer::unmetered()).unwrap()
    }

    #[test]
    fn however_it_is_read_the_digest_is_the_same() {
        let content = vec![7; 3 * CHUNK + 1];
        assert_eq!(digest(&content, |seen| seen), Some(Digest::sha256(&content)));
        assert_eq!(digest(b"", |seen| seen), Some(Digest::sha256(b"")));
    }

    #[test]
    fn a_file_that_changes_is_not_read_to_its_end() {
        let content = vec![7; (CHUNKS_PER_CHECK as usize + 1) * CHUNK];
        assert_eq!(digest(&content, |seen| Stamp { inode: seen.inode + 1, ..seen }), None);
    }
}

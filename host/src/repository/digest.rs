//! The digest of what is too large to be held in memory.

use std::io::{self, Read};

use sha2::{Digest as _, Sha256};

use crate::model::Digest;

/// Large enough that the system calls do not count, small enough for a thread's stack neighbours.
const CHUNK: usize = 64 << 10;

/// The digest of everything a reader gives. Fails as the reader does.
pub(super) fn digest_of(mut reader: impl Read) -> io::Result<Digest> {
    let mut hasher = Sha256::new();
    let mut chunk = vec![0; CHUNK];
    loop {
        match reader.read(&mut chunk) {
            Ok(0) => return Ok(Digest::finish(hasher)),
            Ok(read) => hasher.update(&chunk[..read]),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_it_is_read_the_digest_is_the_same() {
        let content = vec![7; 3 * CHUNK + 1];
        assert_eq!(digest_of(&content[..]).unwrap(), Digest::of(&content));
        assert_eq!(digest_of(&b""[..]).unwrap(), Digest::of(b""));
    }
}

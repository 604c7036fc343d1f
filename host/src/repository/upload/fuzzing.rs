//! Properties of archives that are uploaded.

use std::collections::BTreeSet;

use super::UploadError;
use super::archive::{ArchiveReader, FileSink};
use super::gzip::GzipReader;
use crate::fuzzing::check_text;
use crate::model::sanitize;

/// Bytes that the files of an archive may have here.
const MAX_BYTES: usize = 1 << 20;

/// The files of an archive, with the properties that each must have.
#[derive(Default)]
struct Checked {
    names: BTreeSet<String>,
    /// Bytes of the present file that have not arrived.
    left: u64,
    bytes: usize,
}

impl FileSink for Checked {
    fn begin(&mut self, name: &str, size: u64) -> Result<(), UploadError> {
        assert!(!name.is_empty() && name.len() <= 128 && !name.starts_with('.'), "{name:?}");
        assert!(!name.contains(['/', '\0']) && name != "config.toml", "{name:?}");
        assert_eq!(sanitize(name, 128), name);
        assert!(self.names.insert(name.into()), "{name:?} is there twice");
        self.left = size;
        Ok(())
    }

    fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        self.left = self.left.checked_sub(piece.len() as u64).expect("more bytes than announced");
        self.bytes += piece.len();
        match self.bytes > MAX_BYTES {
            true => {
                Err(UploadError::TooLarge { limit: MAX_BYTES as u64, allowed_by: "the target" })
            }
            false => Ok(()),
        }
    }

    fn end(&mut self) -> Result<(), UploadError> {
        assert_eq!(self.left, 0);
        Ok(())
    }
}

/// Checks a tar archive, plain and as the content of a gzip stream. Every accepted name is one
/// plain name, and a file gets the bytes that its header announces.
pub fn archive(bytes: &[u8]) {
    let mut plain = ArchiveReader::new(Checked::default());
    let read = bytes.chunks(700).try_for_each(|piece| plain.write(piece));
    check(read.and_then(|()| plain.finish()));

    let mut zipped = GzipReader::new(Checked::default());
    let read = bytes.chunks(700).try_for_each(|piece| zipped.write(piece));
    check(read.and_then(|()| zipped.finish()));
}

fn check(read: Result<Checked, UploadError>) {
    match read {
        Ok(files) => assert!(!files.names.is_empty() && files.left == 0),
        Err(error) => check_text(&error.to_string(), 800),
    }
}

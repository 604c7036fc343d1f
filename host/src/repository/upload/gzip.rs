//! Unpacks a gzipped archive, piece by piece as it arrives.
//!
//! Unpacked bytes go to the reader of the archive at once, in pieces of 32 KiB, so its bounds hold
//! while a bomb is unpacked, and not after.

use std::io::{self, Write};

use flate2::write::GzDecoder;

use super::UploadError;
use super::archive::{ArchiveError, ArchiveReader, FileSink};

/// A gzipped archive that is being read.
pub(super) struct GzipReader<S: FileSink>(GzDecoder<Unpacked<S>>);

/// The reader of the archive, as the target of the decoder.
struct Unpacked<S> {
    archive: ArchiveReader<S>,
    /// The archive was refused. The decoder writes what it still has when it is dropped.
    refused: bool,
}

impl<S: FileSink> GzipReader<S> {
    pub(super) fn new(sink: S) -> Self {
        GzipReader(GzDecoder::new(Unpacked { archive: ArchiveReader::new(sink), refused: false }))
    }

    /// Reads the next piece of the gzip data. After an error the reader must be dropped.
    pub(super) fn write(&mut self, piece: &[u8]) -> Result<(), UploadError> {
        match self.0.write_all(piece) {
            Err(error) if error.kind() == io::ErrorKind::WriteZero => {
                Err(ArchiveError::AfterGzip.into())
            }
            written => written.map_err(upload_error),
        }
    }

    /// Ends the data. Fails if it is truncated, or if the archive in it is.
    pub(super) fn finish(self) -> Result<S, UploadError> {
        self.0.finish().map_err(upload_error)?.archive.finish()
    }
}

impl<S: FileSink> Write for Unpacked<S> {
    fn write(&mut self, piece: &[u8]) -> io::Result<usize> {
        if self.refused {
            return Err(io::ErrorKind::Other.into());
        }
        let written = self.archive.write(piece).map_err(io::Error::other);
        self.refused = written.is_err();
        written.map(|()| piece.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// The error of the archive's reader, or else one of the gzip data.
fn upload_error(error: io::Error) -> UploadError {
    match error.downcast::<UploadError>() {
        Ok(error) => error,
        Err(error) => ArchiveError::Gzip(error.to_string()).into(),
    }
}

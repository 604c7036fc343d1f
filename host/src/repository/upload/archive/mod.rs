//! Reads a tar archive of one version, piece by piece as it arrives.
//!
//! The archive comes from a client, so nothing in it decides where a file is written: a name is one
//! plain name or is refused, only regular files are accepted, and each bound is checked before the
//! bytes that pass it are taken. Fields of headers are decoded by the crate `tar`. Its own iterator
//! is not used: it reads long names and extended headers into memory whatever their size, accepts
//! an archive without an end, and pulls from a reader, while bodies arrive in pieces.

mod entry;
mod error;
mod extension;
#[cfg(test)]
mod tests;

use std::collections::BTreeSet;

use entry::{Entry, EntryContent, read_entry};
pub(super) use error::ArchiveError;
use extension::Extensions;

use super::UploadError;
use crate::repository::scan::MAX_SIDECARS;

/// Size of a header, and the unit of content.
const BLOCK: usize = 512;
/// Zero bytes that end an archive: two blocks.
const END: u64 = 2 * BLOCK as u64;
/// Maximum number of zero bytes at the end. Programs fill records of 10 KiB, some of a mebibyte.
const MAX_END: u64 = 1 << 20;
/// Maximum number of files: the sidecars, and the component, golden requests and settings.
const MAX_FILES: usize = MAX_SIDECARS + 3;
/// Maximum number of entries. A file has up to three: a long name or two, and itself.
const MAX_ENTRIES: usize = 4 * MAX_FILES;

/// Takes the files of an archive, one after the other.
pub(super) trait FileSink {
    /// Begins a file of this size. Fails if it is not accepted.
    fn begin(&mut self, name: &str, size: u64) -> Result<(), UploadError>;

    /// Takes the next bytes of the file.
    fn write(&mut self, piece: &[u8]) -> Result<(), UploadError>;

    /// Ends the file. All its bytes have been written.
    fn end(&mut self) -> Result<(), UploadError>;
}

/// An archive that is being read.
pub(super) struct ArchiveReader<S> {
    sink: S,
    state: State,
    extensions: Extensions,
    names: BTreeSet<String>,
    entries: usize,
    /// Bytes of the archive read so far.
    position: u64,
}

/// The part of the archive that is read next.
enum State {
    /// A header, with its bytes that have arrived.
    Header(Vec<u8>),
    /// The content of a file.
    File { left: u64, padding: u64 },
    /// The content of an entry that describes the next one.
    Extension { left: u64, padding: u64 },
    /// The rest of a block.
    Padding { left: u64 },
    /// The zero bytes at the end, with the number of those that have arrived.
    End { zeros: u64 },
}

impl<S: FileSink> ArchiveReader<S> {
    pub(super) fn new(sink: S) -> Self {
        ArchiveReader {
            sink,
            state: State::Header(Vec::new()),
            extensions: Extensions::default(),
            names: BTreeSet::new(),
            entries: 0,
            position: 0,
        }
    }

    /// Reads the next piece of the archive. After an error the reader must be dropped.
    pub(super) fn write(&mut self, mut piece: &[u8]) -> Result<(), UploadError> {
        while !piece.is_empty() {
            let taken = self.step(piece)?;
            let (done, rest) = piece.split_at(taken.min(piece.len()));
            self.position = self.position.saturating_add(done.len() as u64);
            piece = rest;
        }
        Ok(())
    }

    /// Ends the archive. Fails if it is truncated or has no file.
    pub(super) fn finish(self) -> Result<S, UploadError> {
        let truncated = match self.state {
            State::End { zeros } if zeros >= END => None,
            State::Header(_) | State::End { .. } => Some("without the two empty blocks of its end"),
            State::File { .. } | State::Padding { .. } => Some("inside a file"),
            State::Extension { .. } => Some("inside an extended header"),
        };
        if let Some(place) = truncated {
            return Err(ArchiveError::Truncated(place).into());
        }
        if self.names.is_empty() {
            return Err(ArchiveError::Empty.into());
        }

        Ok(self.sink)
    }

    /// Reads some bytes, and returns their number.
    fn step(&mut self, piece: &[u8]) -> Result<usize, UploadError> {
        match &mut self.state {
            State::Header(block) => {
                let taken = (BLOCK - block.len()).min(piece.len());
                block.extend(piece.iter().take(taken));
                if block.len() == BLOCK {
                    let block = std::mem::take(block);
                    self.state = self.read_header(&block)?;
                    self.end_if_complete()?;
                }
                Ok(taken)
            }
            State::File { left, .. } => {
                let bytes = first(piece, *left);
                *left -= bytes.len() as u64;
                self.sink.write(bytes)?;
                self.end_if_complete()?;
                Ok(bytes.len())
            }
            State::Extension { left, .. } => {
                let bytes = first(piece, *left);
                *left -= bytes.len() as u64;
                self.extensions.push(bytes);
                self.end_if_complete()?;
                Ok(bytes.len())
            }
            State::Padding { left } => {
                let bytes = first(piece, *left);
                *left -= bytes.len() as u64;
                if *left == 0 {
                    self.state = State::Header(Vec::new());
                }
                Ok(bytes.len())
            }
            State::End { zeros } => {
                *zeros = zeros.saturating_add(piece.len() as u64);
                if piece.iter().any(|byte| *byte != 0) {
                    return Err(ArchiveError::AfterEnd.into());
                }
                if *zeros > MAX_END {
                    return Err(ArchiveError::Padding(MAX_END).into());
                }
                Ok(piece.len())
            }
        }
    }

    fn read_header(&mut self, block: &[u8]) -> Result<State, UploadError> {
        if block.iter().all(|byte| *byte == 0) {
            if self.extensions.is_pending() {
                return Err(ArchiveError::Truncated("after an extended header").into());
            }
            return Ok(State::End { zeros: BLOCK as u64 });
        }

        self.entries += 1;
        if self.entries > MAX_ENTRIES {
            return Err(ArchiveError::TooManyEntries(MAX_ENTRIES).into());
        }

        let begin = self.position.saturating_sub(self.position % BLOCK as u64);
        let Entry { content, size } = read_entry(block, begin, &mut self.extensions)?;
        let padding = (BLOCK as u64 - size % BLOCK as u64) % BLOCK as u64;
        match content {
            EntryContent::Extension => Ok(State::Extension { left: size, padding }),
            EntryContent::TopFolder => Ok(State::Header(Vec::new())),
            EntryContent::File(name) => {
                if self.names.len() >= MAX_FILES {
                    return Err(ArchiveError::TooManyFiles(MAX_FILES, MAX_SIDECARS).into());
                }
                if !self.names.insert(name.clone()) {
                    return Err(ArchiveError::Duplicate(name).into());
                }
                self.sink.begin(&name, size)?;
                Ok(State::File { left: size, padding })
            }
        }
    }

    /// Goes on after the content of an entry once all of it has arrived.
    fn end_if_complete(&mut self) -> Result<(), UploadError> {
        let padding = match self.state {
            State::File { left: 0, padding } => {
                self.sink.end()?;
                padding
            }
            State::Extension { left: 0, padding } => {
                self.extensions.end()?;
                padding
            }
            _ => return Ok(()),
        };

        self.state = match padding {
            0 => State::Header(Vec::new()),
            left => State::Padding { left },
        };
        Ok(())
    }
}

/// The first bytes of a piece, at most `count`.
fn first(piece: &[u8], count: u64) -> &[u8] {
    let count = usize::try_from(count).unwrap_or(usize::MAX).min(piece.len());
    piece.split_at(count).0
}

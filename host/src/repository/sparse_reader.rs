//! Reads a file without reading its holes.
//!
//! A sparse file of some gigabytes takes no space on the disk. Read as a whole, it would fill the
//! page cache of the system with zeros, and take it from the files of others.

use std::fs::File;
use std::io;
use std::ops::Range;

use rustix::fs::SeekFrom;
use rustix::io::{Errno, pread, retry_on_intr};

/// Reads a file from its beginning. The file's own position does not matter.
pub(super) struct SparseReader<'a> {
    file: &'a File,
    position: u64,
    /// The length of the file. Nothing beyond it is read.
    size: u64,
    /// The last known range with content. What lies before its start and after the position is a
    /// hole.
    data: Range<u64>,
}

impl<'a> SparseReader<'a> {
    pub(super) fn new(file: &'a File, size: u64) -> Self {
        SparseReader { file, position: 0, size, data: 0..0 }
    }

    /// Fills the beginning of `chunk` and returns the number of bytes. 0 ends the file. Fails on a
    /// read error.
    pub(super) fn read(&mut self, chunk: &mut [u8]) -> io::Result<usize> {
        if self.position >= self.size {
            return Ok(0);
        }
        if self.position >= self.data.end {
            self.data = self.next_data();
        }

        let in_hole = self.position < self.data.start;
        let end = if in_hole { self.data.start } else { self.data.end };
        let length = usize::try_from(end.saturating_sub(self.position))
            .unwrap_or(usize::MAX)
            .min(chunk.len());
        let part = chunk.get_mut(..length).unwrap_or_default();

        let read = if in_hole {
            part.fill(0);
            length
        } else {
            retry_on_intr(|| pread(self.file, &mut *part, self.position))?
        };
        self.position += read as u64;
        Ok(read)
    }

    /// Returns the next range with content, from the position on. It starts at the end of the file
    /// if only a hole is left. All that is left is content where the file system cannot tell.
    fn next_data(&self) -> Range<u64> {
        let start = match rustix::fs::seek(self.file, SeekFrom::Data(self.position)) {
            Ok(start) => start,
            // Nothing is written from here on, or the file has been cut.
            Err(Errno::NXIO) => {
                self.file.metadata().map_or(self.size, |file| file.len().min(self.size))
            }
            Err(_) => return self.position..self.size,
        };
        let end = rustix::fs::seek(self.file, SeekFrom::Hole(start)).unwrap_or(self.size);

        // The file may have changed in between.
        let start = start.min(self.size);
        start..end.clamp(start, self.size)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::FileExt;

    use proptest::prelude::*;

    use super::*;

    /// A sparse file in which some ranges are written.
    fn sparse_file(size: u64, written: &[(u64, u64)]) -> File {
        let file = tempfile::tempfile().unwrap();
        file.set_len(size).unwrap();
        for &(at, length) in written {
            let end = (at + length).min(size);
            let content = vec![7; end.saturating_sub(at) as usize];
            file.write_all_at(&content, at).unwrap();
        }
        file
    }

    fn read_all(file: &File, size: u64, chunk: usize) -> Vec<u8> {
        let mut reader = SparseReader::new(file, size);
        let mut chunk = vec![1; chunk];
        let mut all = Vec::new();
        loop {
            match reader.read(&mut chunk).unwrap() {
                0 => return all,
                length => all.extend_from_slice(&chunk[..length]),
            }
        }
    }

    #[test]
    fn a_hole_is_not_read() {
        let file = sparse_file(1 << 40, &[]);
        let mut reader = SparseReader::new(&file, 1 << 40);
        let mut chunk = vec![1; 1 << 20];
        assert_eq!(reader.read(&mut chunk).unwrap(), 1 << 20);
        assert_eq!(reader.data, 1 << 40..1 << 40, "one hole");
        assert!(chunk.iter().all(|byte| *byte == 0));
    }

    #[test]
    fn a_file_that_was_cut_ends_early() {
        let file = sparse_file(100, &[(0, 100)]);
        assert_eq!(read_all(&file, 200, 30), [7; 100]);
        assert_eq!(read_all(&file, 50, 30), [7; 50]);
        assert_eq!(read_all(&file, 0, 30), [0; 0]);
    }

    proptest! {
        #[test]
        fn content_and_holes_are_read_in_order(
            size in 0..300_000_u64,
            written in prop::collection::vec((0..300_000_u64, 0..50_000_u64), 0..4),
            chunk in 1..70_000_usize,
        ) {
            let file = sparse_file(size, &written);
            let mut expected = vec![0; size as usize];
            file.read_exact_at(&mut expected, 0).unwrap();
            prop_assert!(read_all(&file, size, chunk) == expected);
        }
    }
}

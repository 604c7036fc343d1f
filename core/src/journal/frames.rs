//! Reads a journal as SQLite does, without SQLite: finds the committed frames and any damage.
//!
//! The format is SQLite's write-ahead log
//! (<https://sqlite.org/fileformat2.html#the_write_ahead_log>).

use std::fs::File;
use std::io::{self, BufReader, Read};
use std::path::Path;

const HEADER: usize = 32;
const FRAME_HEADER: usize = 24;

/// The magic number; its lowest bit selects the byte order of checksums.
const MAGIC: u32 = 0x377f_0682;

/// Offset of the application's number in the first page of a database.
pub(super) const APPLICATION_ID: usize = 68;

/// Summary of a journal.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Frames {
    /// Number of frames in complete transactions.
    pub(super) committed: u64,
    /// The application's number, as of the last transaction that wrote the first page.
    pub(super) application_id: Option<u32>,
    /// Number of frames that are not part of a complete transaction, or that follow a damaged
    /// frame.
    pub(super) lost: u64,
    /// True if frames follow a damaged one.
    pub(super) is_damaged: bool,
}

/// Reads a journal. Returns an empty summary if there is none. Fails with `InvalidData` if its
/// header is damaged.
pub(super) fn read(journal: &Path) -> io::Result<Frames> {
    let file = match File::open(journal) {
        Ok(file) => BufReader::with_capacity(1 << 16, file),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Frames::default()),
        Err(error) => return Err(error),
    };
    read_from(file)
}

fn read_from(mut input: impl Read) -> io::Result<Frames> {
    let mut frames = Frames::default();
    let mut header = [0; HEADER];

    // A power cut can leave a new journal with a partial or empty header.
    if !fill(&mut input, &mut header)? || header == [0; HEADER] {
        return Ok(frames);
    }

    let invalid = || io::Error::new(io::ErrorKind::InvalidData, "its header is damaged");
    let mut reader = FrameReader::new(&header).ok_or_else(invalid)?;
    let mut pending = None;
    let mut broken = false;
    let mut since_commit = 0;
    let mut frame = vec![0; FRAME_HEADER + reader.page_size];

    while fill(&mut input, &mut frame)? {
        // The rest are frames of an earlier use of the file.
        if frame[8..16] != header[16..24] {
            break;
        }

        if broken || !reader.verify(&frame) {
            frames.is_damaged |= broken;
            broken = true;
            frames.lost += 1;
            continue;
        }

        since_commit += 1;
        if word(&frame, 0) == 1 {
            pending = Some(word(&frame, FRAME_HEADER + APPLICATION_ID));
        }

        if word(&frame, 4) != 0 {
            frames.committed += std::mem::take(&mut since_commit);
            frames.application_id = pending.take().or(frames.application_id);
        }
    }

    frames.lost += since_commit;

    Ok(frames)
}

/// Fills the buffer. Returns false at the end of the input.
fn fill(input: &mut impl Read, buffer: &mut [u8]) -> io::Result<bool> {
    match input.read_exact(buffer) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
        Err(error) => Err(error),
    }
}

fn word(bytes: &[u8], at: usize) -> u32 {
    bytes.get(at..at + 4).and_then(|bytes| bytes.try_into().ok()).map_or(0, u32::from_be_bytes)
}

/// Verifies the checksum, which continues from frame to frame.
struct FrameReader {
    page_size: usize,
    big_endian: bool,
    sum: (u32, u32),
}

impl FrameReader {
    fn new(header: &[u8; HEADER]) -> Option<Self> {
        let magic = word(header, 0);
        let page_size = word(header, 8) as usize;

        if magic & !1 != MAGIC
            || !page_size.is_power_of_two()
            || !(512..=65536).contains(&page_size)
        {
            return None;
        }
        let mut reader = FrameReader { page_size, big_endian: magic & 1 == 1, sum: (0, 0) };
        reader.sum = reader.checksum(&header[..24]);

        (reader.sum == (word(header, 24), word(header, 28))).then_some(reader)
    }

    /// Returns true if the frame is intact, and continues the checksum.
    fn verify(&mut self, frame: &[u8]) -> bool {
        let before = self.sum;
        self.sum = self.checksum(&frame[..8]);
        self.sum = self.checksum(&frame[FRAME_HEADER..]);
        let same = self.sum == (word(frame, 16), word(frame, 20));

        if !same {
            self.sum = before;
        }

        same
    }

    fn checksum(&self, bytes: &[u8]) -> (u32, u32) {
        let (mut one, mut two) = self.sum;
        let (pairs, _) = bytes.as_chunks::<8>();

        for [a, b, c, d, e, f, g, h] in pairs.iter().copied() {
            let read = |bytes| {
                if self.big_endian { u32::from_be_bytes(bytes) } else { u32::from_le_bytes(bytes) }
            };
            one = one.wrapping_add(read([a, b, c, d])).wrapping_add(two);
            two = two.wrapping_add(read([e, f, g, h])).wrapping_add(one);
        }

        (one, two)
    }
}

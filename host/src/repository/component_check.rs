//! Checks that a `.wasm` file is a complete component, without compiling it.
//!
//! A component is a header followed by sections, each preceded by its length. A truncated file ends
//! inside a section, unless it was cut exactly between two; validation by the engine and the golden
//! requests catch that case. The contents of the sections are not read here.
//!
//! `wasmparser::Parser` is not used for this: it returns a section only when all of it is in
//! memory, except for nested modules and components. A custom section of 1 GiB would have to be
//! held. This check reads the headers only and skips the rest.

use std::io::{self, BufReader, Read, Seek};

use super::file_kind::{MODELS, PREFIX_LENGTH, by_content};

/// The reason why a file is not a complete component.
#[derive(Debug, thiserror::Error)]
pub enum IncompleteComponent {
    /// The file is empty.
    #[error("the file is empty")]
    Empty,
    /// A file of another kind, with its name and what to do.
    #[error("{0}")]
    OtherFormat(String),
    /// An unknown file format.
    #[error("not WebAssembly: the file does not begin with `\\0asm`; {MODELS}")]
    NotWasm,
    /// Native code, which is unconfined and therefore never loaded.
    #[error(
        "native code: precompiled artifacts are never accepted; drop in the WebAssembly component itself"
    )]
    Precompiled,
    /// A core module.
    #[error("a core module, not a component; build it with `cargo build --target wasm32-wasip2`")]
    CoreModule,
    /// A component of an unsupported binary version.
    #[error(
        "a component of binary version {0:#x}, and only 0xd is supported; build it with newer tools"
    )]
    OtherVersion(u16),
    /// The file ends inside a section or the header.
    #[error("truncated: {0}")]
    Truncated(String),
    /// A section's length is not a valid number.
    #[error("corrupt: the section at byte {0} has a malformed length")]
    Malformed(u64),
    /// The file has more sections than any real component.
    #[error("corrupt: it has more than {MAX_SECTIONS} sections")]
    TooManySections,
    /// An I/O error.
    #[error("cannot be read: {0}")]
    Unreadable(#[from] io::Error),
}

/// Maximum number of sections. Components have a few hundred; reading a hostile gigabyte of empty
/// ones would take minutes.
const MAX_SECTIONS: usize = 100_000;

const MAGIC: &[u8] = b"\0asm";
const ELF: &[u8] = b"\x7fELF";
const COMPONENT_VERSION: u16 = 0x0d;

/// Checks that a file of `length` bytes contains every section it announces. Reads from the start
/// of the file.
pub fn check(file: impl Read + Seek, length: u64) -> Result<(), IncompleteComponent> {
    let mut reader = BufReader::new(file);
    reader.rewind()?;

    match check_header(&mut reader, length) {
        Err(IncompleteComponent::NotWasm) => return Err(other_kind(&mut reader)?),
        header => header?,
    }

    let mut position = 8;
    for _ in 0..MAX_SECTIONS {
        if position == length {
            return Ok(());
        }
        position = skip_section(&mut reader, position, length)?;
    }

    Err(IncompleteComponent::TooManySections)
}

fn check_header(reader: &mut impl Read, length: u64) -> Result<(), IncompleteComponent> {
    let mut header = Vec::with_capacity(8);
    reader.take(8).read_to_end(&mut header)?;
    let start = &header[..header.len().min(4)];

    if header.is_empty() {
        return Err(IncompleteComponent::Empty);
    }

    if start == ELF {
        return Err(IncompleteComponent::Precompiled);
    }

    if !MAGIC.starts_with(start) {
        return Err(IncompleteComponent::NotWasm);
    }

    let &[_, _, _, _, low, high, layer, _] = &header[..] else {
        return Err(IncompleteComponent::Truncated(format!(
            "{length} bytes are shorter than the header"
        )));
    };

    check_version(u16::from_le_bytes([low, high]), layer)
}

/// Returns the error for a file without the magic number of WebAssembly.
fn other_kind(reader: &mut (impl Read + Seek)) -> io::Result<IncompleteComponent> {
    let mut beginning = Vec::with_capacity(PREFIX_LENGTH);
    reader.rewind()?;
    reader.take(PREFIX_LENGTH as u64).read_to_end(&mut beginning)?;
    Ok(by_content(&beginning).map_or(IncompleteComponent::NotWasm, |kind| {
        IncompleteComponent::OtherFormat(format!("{kind}, not WebAssembly; {}", kind.remedy()))
    }))
}

fn check_version(version: u16, layer: u8) -> Result<(), IncompleteComponent> {
    match (version, layer) {
        (_, 0) => Err(IncompleteComponent::CoreModule),
        (COMPONENT_VERSION, _) => Ok(()),
        _ => Err(IncompleteComponent::OtherVersion(version)),
    }
}

/// Returns the position after the section that begins at `position`.
fn skip_section<R: Read + Seek>(
    reader: &mut BufReader<R>,
    position: u64,
    length: u64,
) -> Result<u64, IncompleteComponent> {
    let mut left = reader.by_ref().take(length.saturating_sub(position));
    read_byte(&mut left, position)?;
    let (size, size_bytes) = read_size(&mut left, position)?;
    let end = position + 1 + size_bytes + u64::from(size);

    if end > length {
        return Err(IncompleteComponent::Truncated(format!(
            "the section at byte {position} ends at byte {end}, but the file at {length}"
        )));
    }

    reader.seek_relative(i64::from(size))?;

    Ok(end)
}

/// Reads a LEB128 number of at most 32 bits. Returns it and its length in bytes.
fn read_size(reader: &mut impl Read, position: u64) -> Result<(u32, u64), IncompleteComponent> {
    let mut size = 0u64;
    for taken in 0..5 {
        let byte = read_byte(reader, position)?;
        size |= u64::from(byte & 0x7f) << (7 * taken);
        if byte & 0x80 == 0 {
            return u32::try_from(size)
                .map(|size| (size, taken + 1))
                .map_err(|_| IncompleteComponent::Malformed(position));
        }
    }

    Err(IncompleteComponent::Malformed(position))
}

fn read_byte(reader: &mut impl Read, position: u64) -> Result<u8, IncompleteComponent> {
    let mut byte = [0];
    match reader.read_exact(&mut byte) {
        Ok(()) => Ok(byte[0]),
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => {
            Err(IncompleteComponent::Truncated(format!(
                "the file ends inside the header of the section at byte {position}"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use proptest::prelude::*;

    use super::*;

    const HEADER: &[u8] = b"\0asm\x0d\0\x01\0";

    fn checked(bytes: &[u8]) -> String {
        check(Cursor::new(bytes), bytes.len() as u64)
            .err()
            .map_or("whole".into(), |error| error.to_string())
    }

    fn component(sections: &[&[u8]]) -> Vec<u8> {
        [HEADER, &sections.concat()].concat()
    }

    #[test]
    fn a_component_is_complete_at_the_end_of_its_last_section() {
        assert_eq!(checked(&component(&[])), "whole");
        assert_eq!(checked(&component(&[&[0, 2, 7, 7], &[1, 0]])), "whole");
        assert_eq!(checked(&component(&[&[0, 0x82, 0x80, 0x00, 7, 7]])), "whole");
    }

    #[test]
    fn truncation_within_a_section_is_detected() {
        let long = [&[0, 0x80, 0x02][..], &[9; 256]].concat();
        let whole = component(&[&long]);

        for length in 9..whole.len() {
            assert!(checked(&whole[..length]).starts_with("truncated: "), "{length}");
        }

        for length in 1..8 {
            assert!(checked(&whole[..length]).starts_with("truncated: "), "{length}");
        }
    }

    #[test]
    fn other_formats_are_named() {
        for (bytes, says) in [
            (&b""[..], "empty"),
            (b"hello, world", "not WebAssembly"),
            (b"he", "not WebAssembly"),
            (b"\x7fELF\x02\x01\x01\0\0", "precompiled artifacts are never accepted"),
            (b"\0asm\x01\0\0\0", "cargo build --target wasm32-wasip2"),
            (b"\0asm\x0a\0\x01\0", "binary version 0xa"),
            (b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\xff\x01", "malformed length"),
            (b"\0asm\x0d\0\x01\0\0\xff\xff\xff\xff\x7f", "malformed length"),
        ] {
            assert!(checked(bytes).contains(says), "{}", checked(bytes));
        }
    }

    #[test]
    fn the_number_of_sections_is_limited() {
        let bytes = component(&[&[0; 2 * MAX_SECTIONS + 2]]);
        assert!(checked(&bytes).contains("more than"));
    }

    proptest! {
        #[test]
        fn no_input_causes_a_panic(bytes: Vec<u8>, length: u64) {
            checked(&bytes);
            checked(&component(&[&bytes]));
            let _ = check(Cursor::new(component(&[&bytes])), length.max(8));
        }
    }
}

//! One header of an archive: the kind of its entry, its name and its size.

use tar::{EntryType, Header};

use super::error::ArchiveError;
use super::extension::{ExtensionKind, Extensions};
use crate::repository::layout::{LIVE_CONFIG, is_printable_name, is_temporary, printable};

/// An entry of an archive.
pub(super) struct Entry {
    pub(super) content: EntryContent,
    /// Bytes of content after the header.
    pub(super) size: u64,
}

/// The meaning of an entry's content.
pub(super) enum EntryContent {
    /// A file of the version, with its name.
    File(String),
    /// The version's folder itself.
    TopFolder,
    /// A part of the description of the next entry.
    Extension,
}

/// The place of the checksum in a header.
const CHECKSUM: std::ops::Range<usize> = 148..156;

/// Reads the header at a position of the archive. The extensions read before it apply to it, and
/// are used up.
pub(super) fn read_entry(
    block: &[u8],
    position: u64,
    extensions: &mut Extensions,
) -> Result<Entry, ArchiveError> {
    let faulty = |why| ArchiveError::Header(position, why);
    let header = Header::from_byte_slice(block);
    if header.as_ustar().is_none() && header.as_gnu().is_none() {
        return Err(faulty("is of no known format"));
    }
    if header.cksum().ok() != Some(checksum(block)) {
        return Err(faulty("has a wrong checksum"));
    }

    let size = header.entry_size().map_err(|_| faulty("has a malformed size"))?;
    let kind = header.entry_type();
    if let Some(kind) = extension_kind(kind) {
        extensions.begin(kind, size)?;
        return Ok(Entry { content: EntryContent::Extension, size });
    }

    let path = extensions.take_path().unwrap_or_else(|| header.path_bytes().into_owned());
    let content = read_content(&path, kind)?;
    if size != 0 && matches!(content, EntryContent::TopFolder) {
        return Err(faulty("is of a folder with content"));
    }
    Ok(Entry { content, size })
}

fn extension_kind(kind: EntryType) -> Option<ExtensionKind> {
    match kind {
        EntryType::GNULongName => Some(ExtensionKind::LongName),
        EntryType::XHeader => Some(ExtensionKind::Pax),
        EntryType::XGlobalHeader => Some(ExtensionKind::GlobalPax),
        _ => None,
    }
}

fn read_content(path: &[u8], kind: EntryType) -> Result<EntryContent, ArchiveError> {
    let shown = printable(&String::from_utf8_lossy(path));
    let refused = |kind| Err(ArchiveError::Kind(shown.clone(), kind));
    match kind {
        EntryType::Regular => file_name(path, &shown).map(EntryContent::File),
        EntryType::Directory if matches!(path, b"." | b"./") => Ok(EntryContent::TopFolder),
        EntryType::Directory => Err(ArchiveError::Nested(shown)),
        EntryType::Symlink => refused("a symbolic link"),
        EntryType::Link | EntryType::GNULongLink => refused("a hard link"),
        EntryType::Char | EntryType::Block => refused("a device"),
        EntryType::Fifo => refused("a FIFO"),
        EntryType::GNUSparse => refused("a sparse file"),
        _ => refused("an entry of an unknown kind"),
    }
}

/// The name of a file in the version's folder.
fn file_name(path: &[u8], shown: &str) -> Result<String, ArchiveError> {
    let shown = || shown.to_owned();
    let Ok(path) = std::str::from_utf8(path) else { return Err(ArchiveError::Name(shown())) };
    let name = path.strip_prefix("./").unwrap_or(path);

    if name.starts_with('/') || name.split('/').any(|step| step == "..") {
        return Err(ArchiveError::Outside(shown()));
    }
    if name.contains('/') {
        return Err(ArchiveError::Nested(shown()));
    }
    if name.is_empty() || !is_printable_name(name) || printable(name) != name {
        return Err(ArchiveError::Name(shown()));
    }
    if is_temporary(name) {
        return Err(ArchiveError::Hidden(shown()));
    }
    if name == LIVE_CONFIG {
        return Err(ArchiveError::LiveConfig);
    }
    Ok(name.to_owned())
}

/// The sum of a header's bytes, those of the checksum taken for spaces.
fn checksum(block: &[u8]) -> u32 {
    let value = |(index, byte): (usize, &u8)| match CHECKSUM.contains(&index) {
        true => u32::from(b' '),
        false => u32::from(*byte),
    };
    block.iter().enumerate().map(value).sum()
}

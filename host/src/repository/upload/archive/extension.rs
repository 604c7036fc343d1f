//! Entries that describe the next one: the long names of GNU, and the extended headers of pax.
//!
//! A malformed record is refused. Values are bytes and may hold line breaks, which the parser of
//! the crate `tar` takes for the end of a record.

use super::error::ArchiveError;
use crate::repository::layout::printable;

/// The kind of such an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ExtensionKind {
    /// A path of GNU's format.
    LongName,
    /// Properties of the next entry.
    Pax,
    /// Properties of all following entries.
    GlobalPax,
}

/// Maximum size of one. A name has 128 bytes; a header of pax has times and owners besides.
const MAX_EXTENSION: u64 = 16 << 10;

/// The extensions that have arrived for the next entry.
#[derive(Default)]
pub(super) struct Extensions {
    arriving: Option<(ExtensionKind, Vec<u8>)>,
    /// The path of the next entry.
    path: Option<Vec<u8>>,
    pending: bool,
}

impl Extensions {
    /// Begins an extension of this size.
    pub(super) fn begin(&mut self, kind: ExtensionKind, size: u64) -> Result<(), ArchiveError> {
        if size > MAX_EXTENSION {
            return Err(ArchiveError::LongExtension(MAX_EXTENSION));
        }
        self.pending |= kind != ExtensionKind::GlobalPax;
        self.arriving = Some((kind, Vec::new()));
        Ok(())
    }

    /// Adds bytes of its content.
    pub(super) fn push(&mut self, bytes: &[u8]) {
        if let Some((_, content)) = &mut self.arriving {
            content.extend(bytes);
        }
    }

    /// Ends it.
    pub(super) fn end(&mut self) -> Result<(), ArchiveError> {
        match self.arriving.take() {
            Some((ExtensionKind::LongName, content)) => {
                let path = content.split(|byte| *byte == 0).next().unwrap_or_default();
                self.set_path(path)
            }
            Some((ExtensionKind::Pax, content)) => self.read_pax(&content),
            Some((ExtensionKind::GlobalPax, content)) => check_global(&content),
            None => Ok(()),
        }
    }

    /// True if an entry must follow.
    pub(super) fn is_pending(&self) -> bool {
        self.pending
    }

    /// The path of the entry whose header is read now, unless that header has it.
    pub(super) fn take_path(&mut self) -> Option<Vec<u8>> {
        self.pending = false;
        self.path.take()
    }

    fn read_pax(&mut self, content: &[u8]) -> Result<(), ArchiveError> {
        for (key, value) in records(content)? {
            match key {
                "path" => self.set_path(value)?,
                key if changes_content(key) => {
                    let name = self.path.as_deref().unwrap_or_default();
                    let name = printable(&String::from_utf8_lossy(name));
                    return Err(ArchiveError::Extension(name, printable(key)));
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Programs differ in which of two paths they take.
    fn set_path(&mut self, path: &[u8]) -> Result<(), ArchiveError> {
        match self.path.replace(path.to_owned()) {
            None => Ok(()),
            Some(_) => Err(ArchiveError::MalformedExtension),
        }
    }
}

fn check_global(content: &[u8]) -> Result<(), ArchiveError> {
    let refused = |key: &str| key == "path" || changes_content(key);
    match records(content)?.into_iter().find(|(key, _)| refused(key)) {
        Some((key, _)) => Err(ArchiveError::Extension("all files".into(), printable(key))),
        None => Ok(()),
    }
}

/// True for a property that changes the kind, the size or the meaning of an entry's content. No
/// file that a version may have needs one.
fn changes_content(key: &str) -> bool {
    matches!(key, "size" | "linkpath" | "hdrcharset") || key.starts_with("GNU.sparse.")
}

/// A key and its value.
type Record<'a> = (&'a str, &'a [u8]);

fn records(content: &[u8]) -> Result<Vec<Record<'_>>, ArchiveError> {
    let mut rest = content;
    let mut found = Vec::new();
    while !rest.is_empty() {
        let (record, after) = split_record(rest).ok_or(ArchiveError::MalformedExtension)?;
        found.push(record);
        rest = after;
    }
    Ok(found)
}

/// Splits `LENGTH KEY=VALUE\n` from its begin; the length counts all of it.
fn split_record(content: &[u8]) -> Option<(Record<'_>, &[u8])> {
    let digits = content.iter().take(6).position(|byte| *byte == b' ')?;
    let length: usize = std::str::from_utf8(content.get(..digits)?).ok()?.parse().ok()?;
    let (record, after) = content.split_at_checked(length)?;
    let record = record.get(digits + 1..)?.strip_suffix(b"\n")?;
    let equals = record.iter().position(|byte| *byte == b'=')?;
    let (key, value) = record.split_at_checked(equals)?;
    Some(((std::str::from_utf8(key).ok()?, value.get(1..)?), after))
}

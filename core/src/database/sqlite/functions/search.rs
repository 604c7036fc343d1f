//! Substring search in linear time (Knuth, Morris and Pratt, 1977).

use super::super::super::limits::MAX_VALUE;
use super::values::Text;
use super::{Call, StopCheck, too_big};

/// A non-empty search text and its failure table.
struct Needle<'n> {
    bytes: &'n [u8],
    /// For each prefix, the length of its longest proper prefix that is also its suffix.
    borders: Vec<u32>,
}

impl<'n> Needle<'n> {
    fn new(bytes: &'n [u8], check: &StopCheck) -> rusqlite::Result<Self> {
        let mut borders = vec![0_u32; bytes.len()];
        let mut length = 0;
        for at in 1..bytes.len() {
            check.add_steps(1)?;

            while length > 0 && bytes[length] != bytes[at] {
                length = borders[length - 1] as usize;
            }

            length += usize::from(bytes[length] == bytes[at]);
            borders[at] = length as u32;
        }

        Ok(Needle { bytes, borders })
    }

    /// Returns the first match at or after `from`.
    fn find(
        &self,
        haystack: &[u8],
        from: usize,
        check: &StopCheck,
    ) -> rusqlite::Result<Option<usize>> {
        let mut matched = 0;
        for (at, byte) in haystack.iter().enumerate().skip(from) {
            check.add_steps(1)?;

            while matched > 0 && self.bytes[matched] != *byte {
                matched = self.borders[matched - 1] as usize;
            }

            matched += usize::from(self.bytes[matched] == *byte);

            if matched == self.bytes.len() {
                return Ok(Some(at + 1 - matched));
            }
        }

        Ok(None)
    }
}

/// `instr(X, Y)`: returns the position of Y in X, counted from 1 in characters, or in bytes if both
/// are blobs; 0 if there is none.
pub(super) fn instr(call: &Call<'_>) -> rusqlite::Result<Option<i64>> {
    let (Some(haystack), Some(needle)) = (call.text(0)?, call.text(1)?) else { return Ok(None) };

    let bytes = call.is_blob(0) && call.is_blob(1);
    let found = match needle.first() {
        None => Some(0),
        // A text that starts inside a character only matches at the very start.
        Some(&first) if !bytes && continues(first) => haystack.starts_with(&needle).then_some(0),
        Some(_) => Needle::new(&needle, call.check)?.find(&haystack, 0, call.check)?,
    };
    let Some(at) = found else { return Ok(Some(0)) };

    let before = match (bytes, haystack.get(1..=at)) {
        (false, Some(passed)) => passed.iter().filter(|byte| !continues(**byte)).count(),
        _ => at,
    };

    Ok(Some(before as i64 + 1))
}

/// True for a continuation byte of UTF-8.
fn continues(byte: u8) -> bool {
    byte & 0xc0 == 0x80
}

/// `replace(X, Y, Z)`: replaces each Y in X by Z.
pub(super) fn replace(call: &Call<'_>) -> rusqlite::Result<Option<Text>> {
    let (Some(text), Some(pattern)) = (call.text(0)?, call.text(1)?) else { return Ok(None) };
    if pattern.first().is_none_or(|&byte| byte == 0) {
        return Ok(Some(Text(text.into_owned())));
    }

    let Some(replacement) = call.text(2)? else { return Ok(None) };

    let needle = Needle::new(&pattern, call.check)?;
    let (mut out, mut from) = (Vec::with_capacity(text.len()), 0);
    while let Some(at) = needle.find(&text, from, call.check)? {
        out.extend_from_slice(&text[from..at]);
        out.extend_from_slice(&replacement);

        if out.len() > MAX_VALUE {
            return Err(too_big());
        }

        from = at + pattern.len();
    }

    out.extend_from_slice(&text[from..]);

    Ok(Some(Text(out)))
}

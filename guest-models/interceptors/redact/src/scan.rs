//! A single pass over a text that replaces what it finds.

use std::borrow::Cow;
use std::ops::Range;

/// Returns the match at a position of a text: a range that begins at `from` or later. Reads a
/// bounded number of bytes around the position, so that a whole text takes time proportional to its
/// length.
pub(crate) type At = fn(text: &[u8], from: usize, place: usize) -> Option<Range<usize>>;

/// Replaces every match by `label`. Borrows the text if there is none.
pub(crate) fn replace<'a>(text: Cow<'a, [u8]>, label: &[u8], at: At) -> Cow<'a, [u8]> {
    let mut replaced = Vec::new();
    let (mut from, mut place) = (0, 0);
    while place < text.len() {
        match at(&text, from, place) {
            Some(found) => {
                replaced.extend_from_slice(&text[from..found.start]);
                replaced.extend_from_slice(label);
                (from, place) = (found.end, found.end);
            }
            None => place += 1,
        }
    }
    if from == 0 {
        return text;
    }
    replaced.extend_from_slice(&text[from..]);
    Cow::Owned(replaced)
}

/// Returns true if a word continues across a position: a letter or digit, or a byte of another
/// script, on either side.
pub(crate) fn within_word(text: &[u8], place: usize) -> bool {
    let of_word = |index: usize| {
        text.get(index).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    place > 0 && of_word(place - 1) && of_word(place)
}

/// Returns the positions of digits with single separators between them, from a position on. At most
/// `MAX_DIGITS`.
pub(crate) fn digits(text: &[u8], mut place: usize, separators: &[u8]) -> Vec<usize> {
    let mut found = Vec::new();
    while let Some(byte) = text.get(place) {
        match byte {
            b'0'..=b'9' if found.len() < MAX_DIGITS => found.push(place),
            byte if separators.contains(byte)
                && found.last().is_some_and(|last| last + 2 >= place) => {}
            _ => break,
        }
        place += 1;
    }
    found
}

/// One more than the longest number has, to detect a longer one.
const MAX_DIGITS: usize = 20;

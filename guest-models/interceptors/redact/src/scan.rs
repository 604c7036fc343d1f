//! Going through a text once, and putting something in the place of what is found.

use std::borrow::Cow;
use std::ops::Range;

/// Tells what there is at a place of a text: a range that begins at `from` or later. Looks at no
/// more than a bounded number of bytes around it, so that a whole text takes time in proportion to
/// its length.
pub(crate) type At = fn(text: &[u8], from: usize, place: usize) -> Option<Range<usize>>;

/// Puts `label` in the place of everything that is found. Borrows the text where nothing is.
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

/// Whether a word goes on across a place: a letter or digit on either side of it, or what may be
/// one of another script.
pub(crate) fn within_word(text: &[u8], place: usize) -> bool {
    let of_word = |index: usize| {
        text.get(index).is_some_and(|byte| byte.is_ascii_alphanumeric() || !byte.is_ascii())
    };
    place > 0 && of_word(place - 1) && of_word(place)
}

/// Digits with single separators between them, from a place on: where each digit is. At most
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

/// One more than any number looked for has, which tells it from a longer one.
const MAX_DIGITS: usize = 20;

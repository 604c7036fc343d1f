//! International bank account numbers (ISO 13616), in groups or without.

use std::ops::Range;

use crate::scan::within_word;

/// The least length of any country (Norway's), and the greatest permitted length.
const SHORTEST: usize = 15;
const LONGEST: usize = 34;

pub(crate) fn at(text: &[u8], _from: usize, place: usize) -> Option<Range<usize>> {
    let head = text.get(place..place + 4)?;
    let begins =
        head[..2].iter().all(u8::is_ascii_alphabetic) && head[2..].iter().all(u8::is_ascii_digit);
    if !begins || within_word(text, place) {
        return None;
    }
    let places = places(text, place);
    // The next word may look like one more group, so the longest valid number is taken.
    let ends = (SHORTEST..=places.len()).rev().map(|length| &places[..length]);
    let right = |places: &&[usize]| {
        places.last().is_some_and(|last| !within_word(text, last + 1)) && checks(text, places)
    };
    ends.into_iter().find(right).and_then(|places| Some(place..places.last()? + 1))
}

/// Returns the positions of its letters and digits: from a position on, with single spaces between.
fn places(text: &[u8], mut place: usize) -> Vec<usize> {
    let mut found: Vec<usize> = Vec::new();
    while found.len() < LONGEST {
        match text.get(place) {
            Some(byte) if byte.is_ascii_alphanumeric() => found.push(place),
            Some(b' ') if found.last().is_some_and(|last| last + 1 == place) => {}
            _ => break,
        }
        place += 1;
    }
    found
}

/// Returns true if the remainder of a division by 97 is 1, with the first four characters moved to
/// the end and letters read as 10 to 35.
fn checks(text: &[u8], places: &[usize]) -> bool {
    let values = places[4..].iter().chain(&places[..4]).map(|place| u32::from(text[*place]));
    let remainder = values.fold(0, |remainder, byte| match byte {
        48..=57 => (remainder * 10 + byte - 48) % 97,
        _ => (remainder * 100 + (byte & !32) - 55) % 97,
    });
    remainder == 1
}

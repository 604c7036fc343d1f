//! Payment card numbers: 13 to 19 digits, the last of which is a checksum (ISO/IEC 7812).

use std::ops::Range;

use crate::scan::{digits, within_word};

pub(crate) fn at(text: &[u8], _from: usize, place: usize) -> Option<Range<usize>> {
    if !text[place].is_ascii_digit() || within_word(text, place) {
        return None;
    }
    let digits = digits(text, place, b" -");
    // Another number may follow, so the longest valid one is taken.
    let lengths = (13..=digits.len().min(19)).rev();
    let ends = lengths.map(|length| &digits[..length]);
    let right = |places: &&[usize]| {
        places.last().is_some_and(|last| !within_word(text, last + 1)) && checks(text, places)
    };
    ends.into_iter().find(right).and_then(|places| Some(place..places.last()? + 1))
}

/// Luhn's sum: every second digit from the right counts double, and its digits are added.
fn checks(text: &[u8], places: &[usize]) -> bool {
    let values = places.iter().rev().map(|place| u32::from(text[*place] - b'0'));
    let sum = values.enumerate().fold(0, |sum, (index, value)| match (index % 2, value * 2) {
        (0, _) => sum + value,
        (_, double) => sum + double / 10 + double % 10,
    });
    // All zeros have a valid sum and are no card number.
    sum > 0 && sum.is_multiple_of(10)
}

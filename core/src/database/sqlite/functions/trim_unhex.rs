//! `trim`, `ltrim`, `rtrim` and `unhex`: functions that take a set of characters, given as a text.

use std::collections::{BTreeSet, HashMap, HashSet};

use super::characters::Characters;
use super::values::Text;
use super::{Call, StopCheck};

/// Ends of a text to trim.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum TrimEnds {
    Left,
    Right,
    Both,
}

/// `trim(X, Y)`, `ltrim` and `rtrim`: removes the characters in Y from the ends of X.
pub(super) fn trim(call: &Call<'_>, ends: TrimEnds) -> rusqlite::Result<Option<Text>> {
    let (Some(text), Some(set)) = (call.text(0)?, call.text_to_zero(1)?) else { return Ok(None) };

    let set = CharacterSet::new(&set, call.check)?;
    let mut rest = &text[..];
    if ends != TrimEnds::Right {
        while let Some(length) = set.match_length(|length| rest.get(..length), call.check)? {
            rest = &rest[length..];
        }
    }

    if ends != TrimEnds::Left {
        while let Some(length) = set.match_length(
            |length| rest.len().checked_sub(length).map(|at| &rest[at..]),
            call.check,
        )? {
            rest = &rest[..rest.len() - length];
        }
    }

    Ok(Some(Text(rest.to_vec())))
}

/// A set of characters. Each is a sequence of bytes, of any length if it is invalid UTF-8. If
/// several match, the one that comes first in the text counts.
struct CharacterSet<'s> {
    numbers: HashMap<&'s [u8], usize>,
    lengths: BTreeSet<usize>,
}

impl<'s> CharacterSet<'s> {
    fn new(text: &'s [u8], check: &StopCheck) -> rusqlite::Result<Self> {
        let mut set = CharacterSet { numbers: HashMap::new(), lengths: BTreeSet::new() };
        let mut characters = Characters::new(text);
        while !characters.is_at_end() {
            let start = characters.at;
            characters.skip();
            check.add_steps(characters.at - start)?;

            let number = set.numbers.len();
            set.numbers.entry(&text[start..characters.at]).or_insert(number);
            set.lengths.insert(characters.at - start);
        }

        Ok(set)
    }

    /// Returns the length of the character of the set that matches the bytes returned by
    /// `match_length`.
    fn match_length<'t>(
        &self,
        at: impl Fn(usize) -> Option<&'t [u8]>,
        check: &StopCheck,
    ) -> rusqlite::Result<Option<usize>> {
        let mut found = None;
        for &length in &self.lengths {
            check.add_steps(length)?;
            let number = at(length).and_then(|bytes| self.numbers.get(bytes));
            found = number.map(|number| (*number, length)).into_iter().chain(found).min();
        }

        Ok(found.map(|(_, length)| length))
    }
}

/// `unhex(X, Y)`: decodes hexadecimal digits, which characters in Y may separate. NULL if X
/// contains anything else.
pub(super) fn unhex(call: &Call<'_>) -> rusqlite::Result<Option<Vec<u8>>> {
    let (Some(text), Some(passed)) = (call.text_to_zero(0)?, call.text(1)?) else {
        return Ok(None);
    };

    let (mut set, mut characters) = (HashSet::new(), Characters::new(&passed));
    while !characters.is_at_end() {
        call.check.add_steps(1)?;
        set.insert(characters.read());
    }

    let (mut bytes, mut characters) = (Vec::with_capacity(text.len() / 2), Characters::new(&text));
    loop {
        call.check.add_steps(1)?;

        if characters.is_at_end() {
            return Ok(Some(bytes));
        }

        let Some(high) = hex_digit(characters.peek()) else {
            if set.contains(&characters.read()) {
                continue;
            }
            return Ok(None);
        };

        characters.at += 1;

        let Some(low) = hex_digit(characters.peek()) else { return Ok(None) };

        characters.at += 1;
        bytes.push(high << 4 | low);
    }
}

fn hex_digit(byte: u8) -> Option<u8> {
    char::from(byte).to_digit(16).map(|digit| digit as u8)
}

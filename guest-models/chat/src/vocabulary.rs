//! The characters of the network's codes.

use std::collections::BTreeMap;
use wardian_sdk::weights::Reader;

/// The code for no character, and for unknown characters.
pub(crate) const NOTHING: usize = 0;

/// The character in the file for the code that begins and ends a text.
const END: u32 = 1;

/// The code of every character, and the character of every code.
pub(crate) struct Vocabulary {
    characters: Vec<Option<char>>,
    codes: BTreeMap<char, usize>,
    end: usize,
}

impl Vocabulary {
    pub(crate) fn parse(reader: &mut Reader<'_>, codes: usize) -> Option<Self> {
        let characters = reader.integers(codes)?;
        let end = characters.iter().position(|character| *character == END)?;
        let is_character = |character: &u32| ![0, END].contains(character);
        let characters: Vec<Option<char>> = characters
            .into_iter()
            .map(|character| Some(character).filter(is_character).and_then(char::from_u32))
            .collect();
        let codes = characters
            .iter()
            .enumerate()
            .filter_map(|(code, character)| Some(((*character)?, code)));
        Some(Self { codes: codes.collect(), characters, end })
    }

    /// Returns the code that begins a text, followed by those of its characters.
    pub(crate) fn encode(&self, text: &str) -> Vec<usize> {
        let code = |character| self.codes.get(&character).copied().unwrap_or(NOTHING);
        std::iter::once(self.end).chain(text.chars().map(code)).collect()
    }

    /// Returns the character; `None` at the end of the text.
    pub(crate) fn decode(&self, code: usize) -> Option<char> {
        self.characters.get(code).copied().flatten()
    }
}

//! Which character a code of the network stands for.

use std::collections::BTreeMap;
use wardian_sdk::weights::Reader;

/// What stands for no character, and for those that the network does not know.
pub(crate) const NOTHING: usize = 0;

/// What the file has in place of a character for the code that begins and ends a text.
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

    /// The code that begins a text, then those of its characters.
    pub(crate) fn encode(&self, text: &str) -> Vec<usize> {
        let code = |character| self.codes.get(&character).copied().unwrap_or(NOTHING);
        std::iter::once(self.end).chain(text.chars().map(code)).collect()
    }

    /// The character; nothing where the text ends.
    pub(crate) fn decode(&self, code: usize) -> Option<char> {
        self.characters.get(code).copied().flatten()
    }
}

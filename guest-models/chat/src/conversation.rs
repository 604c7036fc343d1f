//! The memory of a session: the latest text, and a summary of all of it.

use std::collections::HashMap;

use wardian_sdk::{Error, session};

/// Characters that are remembered. The network reads the last forty; the others are for the
/// summary.
const REMEMBERED: usize = 8000;

/// Words in a summary.
const WORDS: usize = 5;

/// The least length of a word in a summary; shorter words say little about a text.
const SHORTEST: usize = 5;

/// The conversation of a session.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Conversation {
    /// The most frequent words, as of the last summary.
    pub(crate) summary: String,
    /// The text of both sides, in order.
    pub(crate) said: String,
}

impl Conversation {
    /// Returns the conversation of this request's session; `None` if it has no session.
    pub(crate) fn recall() -> Result<Option<Self>, Error> {
        if session::id().is_none() {
            return Ok(None);
        }
        let state = session::get()?.map(|state| String::from_utf8_lossy(&state).into_owned());
        Ok(Some(state.map_or_else(Self::default, |state| Self::parse(&state))))
    }

    /// Stores the conversation in the session.
    pub(crate) fn keep(&self) -> Result<(), Error> {
        session::set(format!("{}\n{}", self.summary, self.said))
    }

    /// Parses a state: the summary is the first line, and the text follows.
    fn parse(state: &str) -> Self {
        let (summary, said) = state.split_once('\n').unwrap_or(("", state));
        Self { summary: summary.to_owned(), said: said.to_owned() }
    }

    /// Appends text, and drops the oldest beyond the limit.
    pub(crate) fn add(&mut self, text: &str) {
        self.said.push_str(text);
        let surplus = self.said.chars().count().saturating_sub(REMEMBERED);
        let start = self.said.char_indices().nth(surplus).map_or(0, |(index, _)| index);
        self.said.drain(..start);
    }

    /// Computes the summary of the text.
    pub(crate) fn summarise(&mut self) {
        let mut counts: HashMap<String, usize> = HashMap::new();
        let words = self.said.split(|letter: char| !letter.is_alphabetic());
        for word in words.filter(|word| word.chars().count() >= SHORTEST) {
            *counts.entry(word.to_lowercase()).or_default() += 1;
        }
        let mut words: Vec<_> = counts.into_iter().collect();
        words.sort_by(|(one, often), (other, oftener)| {
            oftener.cmp(often).then_with(|| one.cmp(other))
        });
        let words: Vec<_> = words.into_iter().take(WORDS).map(|(word, _)| word).collect();
        self.summary = words.join(", ");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_conversation_survives_a_round_trip() {
        for said in ["", "one", "one\ntwo\n"] {
            let kept = Conversation { summary: "first, second".into(), said: said.into() };
            assert_eq!(Conversation::parse(&format!("{}\n{}", kept.summary, kept.said)), kept);
        }
    }

    #[test]
    fn old_text_is_dropped() {
        let mut conversation = Conversation::default();
        (0..10).for_each(|turn| conversation.add(&format!("{turn}{}", "ä".repeat(999))));
        assert_eq!(conversation.said.chars().count(), REMEMBERED);
        assert!(conversation.said.starts_with('2'));
    }

    #[test]
    fn a_summary_has_the_most_frequent_words() {
        let mut conversation = Conversation::default();
        conversation
            .add("The weather is fine. Weather like this, and no storm; storms are weather too.");
        conversation.summarise();
        assert_eq!(conversation.summary, "weather, storm, storms");
    }
}

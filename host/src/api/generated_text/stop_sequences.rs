//! Stop sequences: texts that end an answer, and are no part of it.
//!
//! An answer arrives in parts, and a sequence may begin in one and end in another. What may be the
//! beginning of one is held back until the next characters decide. So are the first bytes of a
//! character whose other bytes are in the next part.

use crate::api::json::{JsonError, Reader};

/// Limit of the stop sequences of a request. OpenAI allows four.
const MAX_SEQUENCES: usize = 16;

/// Limit of a stop sequence, in bytes. It bounds the text that is held back.
const MAX_LENGTH: usize = 256;

/// The stop sequences of a request, and the text that they hold back.
#[derive(Debug, Default)]
pub(in crate::api) struct StopSequences {
    sequences: Vec<String>,
    held: Vec<u8>,
}

/// Text that is certain to be part of the answer.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Released {
    pub(super) text: Vec<u8>,
    /// True if a stop sequence follows the text, which ends the answer.
    pub(super) is_last: bool,
}

/// The text of a model is not UTF-8.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct NotUtf8;

/// Reads the value of `stop`: a text, a list of texts, or `null`. Empty texts are left out.
pub(in crate::api) fn read_stop(reader: &mut Reader<'_>) -> Result<StopSequences, JsonError> {
    let mut sequences = Vec::new();

    match reader.peek() {
        Some(b'n') if reader.null()? => {}
        Some(b'[') => reader.array(|reader| read_sequence(reader, &mut sequences))?,
        Some(b'"') => read_sequence(reader, &mut sequences)?,
        other => return Err(reader.expected("a text or a list of texts", other)),
    }

    Ok(StopSequences { sequences, held: Vec::new() })
}

fn read_sequence(reader: &mut Reader<'_>, sequences: &mut Vec<String>) -> Result<(), JsonError> {
    let sequence = reader.string()?;

    if sequence.len() > MAX_LENGTH {
        return Err(reader.error(format!("a stop sequence has more than {MAX_LENGTH} bytes")));
    }

    if sequences.len() == MAX_SEQUENCES {
        return Err(reader.error(format!("there are more than {MAX_SEQUENCES} stop sequences")));
    }

    sequences.extend((!sequence.is_empty()).then(|| sequence.into_owned()));

    Ok(())
}

impl StopSequences {
    /// Adds the next text of the model, and returns what is certain to be part of the answer. Of
    /// several sequences in a text the one that is complete first counts, so the answer does not
    /// depend on the parts in which it arrives.
    pub(super) fn push(&mut self, text: &[u8]) -> Result<Released, NotUtf8> {
        self.held.extend_from_slice(text);
        let known = whole_characters(&self.held)?;

        if let Some(end) = self.find(known) {
            let text = known.as_bytes().get(..end).unwrap_or_default().to_vec();
            self.held.clear();
            return Ok(Released { text, is_last: true });
        }

        let certain = known.len() - self.longest_beginning(known);
        let rest = self.held.split_off(certain);

        Ok(Released { text: std::mem::replace(&mut self.held, rest), is_last: false })
    }

    /// Returns the text that is held back, at the end of the model's text. A model that counts
    /// bytes or tokens may end within a character, which is left out.
    pub(super) fn finish(&mut self) -> Result<Vec<u8>, NotUtf8> {
        let mut held = std::mem::take(&mut self.held);
        let whole = whole_characters(&held)?.len();
        held.truncate(whole);
        Ok(held)
    }

    /// Returns the start of the sequence that is complete first; of several, that of the longest.
    fn find(&self, text: &str) -> Option<usize> {
        let found = self.sequences.iter().filter_map(|sequence| {
            let start = text.find(sequence.as_str())?;
            Some((start + sequence.len(), start))
        });

        found.min().map(|(_, start)| start)
    }

    /// Returns the length of the longest end of a text that a sequence begins with.
    fn longest_beginning(&self, text: &str) -> usize {
        let longest = |sequence: &String| {
            let beginnings = sequence.char_indices().map(|(length, _)| length).rev();
            let is_end = |length: &usize| {
                sequence.get(..*length).is_some_and(|beginning| text.ends_with(beginning))
            };
            beginnings.into_iter().find(is_end).unwrap_or(0)
        };

        self.sequences.iter().map(longest).max().unwrap_or(0)
    }
}

/// Returns a text without the beginning of a character at its end.
fn whole_characters(text: &[u8]) -> Result<&str, NotUtf8> {
    match std::str::from_utf8(text) {
        Ok(text) => Ok(text),
        Err(error) if error.error_len().is_some() => Err(NotUtf8),
        Err(error) => {
            let whole = text.get(..error.valid_up_to()).unwrap_or_default();
            std::str::from_utf8(whole).map_err(|_| NotUtf8)
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn stops(sequences: &[&str]) -> StopSequences {
        let sequences = sequences.iter().map(ToString::to_string).collect();
        StopSequences { sequences, held: Vec::new() }
    }

    fn read(text: &str) -> Result<Vec<String>, String> {
        let stops = read_stop(&mut Reader::new(text.as_bytes()).unwrap());
        stops.map(|stops| stops.sequences).map_err(|error| error.to_string())
    }

    /// Returns the answer, and the texts that were released one by one.
    fn answer(sequences: &[&str], parts: &[&[u8]]) -> Result<(String, Vec<String>), NotUtf8> {
        let mut stops = stops(sequences);
        let mut texts = Vec::new();
        for part in parts {
            let Released { text, is_last } = stops.push(part)?;
            texts.push(String::from_utf8(text).unwrap());
            if is_last {
                return Ok((texts.concat(), texts));
            }
        }
        texts.push(String::from_utf8(stops.finish()?).unwrap());
        Ok((texts.concat(), texts))
    }

    /// The answer to a whole text, by trying each end in turn.
    fn expected<'t>(sequences: &[&str], text: &'t str) -> &'t str {
        for end in 0..=text.len() {
            let ended = text.get(..end).unwrap_or_default();
            let found = sequences.iter().filter(|sequence| ended.ends_with(**sequence));
            if let Some(longest) = found.map(|sequence| sequence.len()).max() {
                return &text[..end - longest];
            }
        }
        text
    }

    #[test]
    fn a_sequence_is_a_text_or_one_of_a_list() {
        assert_eq!(read(r#""a""#), Ok(vec!["a".into()]));
        assert_eq!(read(r#"["a", "", "b\n"]"#), Ok(vec!["a".into(), "b\n".into()]));
        for none in ["null", "[]", r#""""#] {
            assert_eq!(read(none), Ok(vec![]), "{none}");
        }

        let many = format!("[{}]", vec![r#""a""#; MAX_SEQUENCES + 1].join(","));
        let long = format!("\"{}\"", "a".repeat(MAX_LENGTH + 1));
        for wrong in ["1", "{}", "[1]", r#"[["a"]]"#, "[null]", &many, &long] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn only_what_may_become_a_sequence_is_held_back() {
        let (whole, texts) = answer(&["\n\n"], &[b"a\n", b"b\n", b"\nc"]).unwrap();
        assert_eq!((whole.as_str(), texts), ("a\nb", vec!["a".into(), "\nb".into(), "".into()]));

        let (whole, texts) = answer(&["stop"], &[b"a s", b"t", b"o", b"ne"]).unwrap();
        assert_eq!(whole, "a stone");
        assert_eq!(texts, ["a ", "", "", "stone", ""]);
    }

    #[test]
    fn the_sequence_that_is_complete_first_counts() {
        assert_eq!(answer(&["abcd", "bc"], &[b"xabcd"]).unwrap().0, "xa");
        assert_eq!(answer(&["abcd", "bc"], &[b"xa", b"b", b"c", b"d"]).unwrap().0, "xa");
        assert_eq!(answer(&["bc", "abc"], &[b"xabc"]).unwrap().0, "x");
    }

    #[test]
    fn characters_are_whole() {
        let euro = "€".as_bytes();
        let (_, texts) = answer(&[], &[&euro[..1], &euro[1..2], &euro[2..]]).unwrap();
        assert_eq!(texts, ["", "", "€", ""]);
        assert_eq!(answer(&[], &[b"a", &euro[..2]]).unwrap().0, "a");
        assert_eq!(answer(&[], &[b"a\xff"]), Err(NotUtf8));
    }

    proptest! {
        #[test]
        fn parts_do_not_matter(
            text in "[abé]{0,24}",
            sequences in prop::collection::vec("[abé]{1,4}", 0..4),
            mut cuts in prop::collection::vec(0usize..48, 0..12),
        ) {
            cuts.iter_mut().for_each(|cut| *cut = (*cut).min(text.len()));
            cuts.extend([0, text.len()]);
            cuts.sort_unstable();
            let parts: Vec<_> =
                cuts.windows(2).map(|cut| &text.as_bytes()[cut[0]..cut[1]]).collect();
            let sequences: Vec<_> = sequences.iter().map(String::as_str).collect();

            let (whole, _) = answer(&sequences, &parts).unwrap();
            prop_assert_eq!(&whole, expected(&sequences, &text));
            prop_assert!(sequences.iter().all(|sequence| !whole.contains(sequence)));
        }
    }
}

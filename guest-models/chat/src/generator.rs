//! An iterator over the characters that follow a prompt.

use wardian_sdk::weights::Reader;

use crate::network::Network;
use crate::sampling::{Sampler, Sampling};
use crate::vocabulary::Vocabulary;
use crate::windows::{WINDOW, Windows};

/// The network and its vocabulary.
pub(crate) struct Language {
    vocabulary: Vocabulary,
    network: Network,
}

/// Yields the characters that follow a prompt, until the network ends the text. That may never
/// happen, so take a limited number.
pub(crate) struct Generator<'a> {
    language: &'a Language,
    windows: Windows,
    sampler: Sampler,
    /// The last code written, which the windows have not read yet.
    last: Option<usize>,
}

// === impl Language ===

impl Language {
    /// Parses the format described at the head of export.py. Returns `None` if the bytes do not
    /// have that format.
    pub(crate) fn parse(bytes: &[u8]) -> Option<Self> {
        let mut reader = Reader::new(bytes);
        let codes = reader.integer()? as usize;
        let (width, units) = (reader.integer()? as usize, reader.integer()? as usize);
        if width == 0 || units == 0 {
            return None;
        }
        let vocabulary = Vocabulary::parse(&mut reader, codes)?;
        let network = Network::parse(&mut reader, codes, width, units)?;
        Some(Self { vocabulary, network })
    }

    /// Returns the windows after a prompt. Only the end of a long prompt is still in any of them.
    fn read(&self, prompt: &str) -> Windows {
        let mut windows = self.network.start();
        let codes = self.vocabulary.encode(prompt);
        let end = &codes[codes.len().saturating_sub(WINDOW)..];
        end.iter().for_each(|code| self.network.step(&mut windows, *code));
        windows
    }
}

// === impl Generator ===

impl<'a> Generator<'a> {
    pub(crate) fn new(language: &'a Language, prompt: &str, sampling: Sampling) -> Self {
        Self {
            language,
            windows: language.read(prompt),
            sampler: Sampler::new(sampling),
            last: None,
        }
    }
}

impl Iterator for Generator<'_> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        let network = &self.language.network;
        if let Some(code) = self.last.take() {
            network.step(&mut self.windows, code);
        }
        let code = self.sampler.choose(&network.probabilities(&self.windows));
        self.last = Some(code);
        self.language.vocabulary.decode(code)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::Value;
    use wardian_sdk::{Error, OrError, artifacts};

    use super::Language;

    fn language() -> Result<Language, Error> {
        Language::parse(&artifacts::read("weights.bin")?).or_failed("weights.bin")
    }

    #[test]
    fn probabilities_match_the_original() -> Result<(), Error> {
        let language = language()?;
        let file = artifacts::read("original.json")?;
        let original: Value = serde_json::from_slice(&file).or_failed("original.json")?;
        for (prompt, wanted) in original.as_object().or_failed("original.json holds no object")? {
            let probabilities = language.network.probabilities(&language.read(prompt));
            let wanted: Vec<f64> =
                wanted.as_array().into_iter().flatten().filter_map(Value::as_f64).collect();
            assert_eq!(probabilities.len(), wanted.len());
            for (code, (got, wanted)) in probabilities.into_iter().zip(wanted).enumerate() {
                assert!(
                    (f64::from(got) - wanted).abs() < 1e-5,
                    "{prompt:?}, code {code}: {got}, not {wanted}"
                );
            }
        }
        Ok(())
    }
}

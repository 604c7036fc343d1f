//! The language of a text, by naive Bayes over byte n-grams. The weights are part of the component:
//! a sidecar file would be copied once more into the memory that is snapshotted.

mod automaton;
mod bayes;
mod numbers;

use automaton::Automaton;
use bayes::Bayes;
use numbers::Reader;
use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Tensor};

const WEIGHTS: &[u8] = include_bytes!("../weights.bin");

struct LanguageId {
    bayes: Bayes<'static>,
    automaton: Automaton<'static>,
}

impl Model for LanguageId {
    fn load() -> Result<Self, Error> {
        let (bayes, automaton) = parse(WEIGHTS).or_failed("weights.bin is cut short")?;
        Ok(Self { bayes, automaton })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("The language that a text is written in")
            .input::<String>("text", [-1])
            .output::<String>("language", [-1])
            .output::<f32>("confidence", [-1])
            .max_batch_size(64)
            .property("languages", self.bayes.languages().join(", "))
            .property("framework", "py3langid 0.3.0")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        // Any bytes are permitted: a text that is not UTF-8 has a likeliest language too.
        let texts = request.input("text")?.blobs()?;
        let mut counts = self.bayes.counts();
        let answers: Vec<(&str, f32)> = texts
            .iter()
            .map(|text| {
                self.automaton.walk(text, |feature| counts.add(feature));
                self.bayes.likeliest(&mut counts)
            })
            .collect();
        let languages = answers.iter().map(|(language, _)| language);
        let confidences = answers.iter().map(|(_, confidence)| *confidence);
        Ok(Response::new()
            .output(Tensor::from_strings("language", [texts.len()], languages))
            .output(Tensor::new("confidence", [texts.len()], confidences)))
    }
}

/// Parses the format described at the head of export.py. Returns `None` if the bytes end too early.
fn parse(bytes: &[u8]) -> Option<(Bayes<'_>, Automaton<'_>)> {
    let mut reader = Reader::new(bytes);
    let [languages, features, states, rows, moves, outputs] = reader.sizes()?;
    let bayes = Bayes::parse(&mut reader, languages, features)?;
    let automaton = Automaton::parse(&mut reader, states, rows, moves, outputs)?;
    Some((bayes, automaton))
}

wardian_sdk::export!(LanguageId);

#[cfg(test)]
mod tests {
    use super::*;

    fn languages(texts: &[&[u8]]) -> Result<Vec<String>, Error> {
        let inputs = vec![Tensor::from_strings("text", [texts.len()], texts)];
        let request = Request { id: String::new(), parameters: vec![], inputs, outputs: vec![] };
        let response = LanguageId::load()?.infer(request)?;
        Ok(response.outputs[0].strings()?.into_iter().map(str::to_owned).collect())
    }

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<LanguageId>()
    }

    #[test]
    fn texts_of_a_batch_are_independent() -> Result<(), Error> {
        let (german, english) =
            ("Dies ist ein deutscher Satz.".as_bytes(), "This is an English sentence.".as_bytes());
        assert_eq!(languages(&[german, english, b"", german])?, ["de", "en", "en", "de"]);
        Ok(())
    }

    #[test]
    fn non_utf8_bytes_are_answered() -> Result<(), Error> {
        assert_eq!(languages(&[&[0xff, 0xfe, 0x80], &[]])?.len(), 2);
        assert!(languages(&[])?.is_empty());
        Ok(())
    }

    #[test]
    fn truncated_weights_are_refused() {
        assert!(parse(WEIGHTS).is_some());
        for length in [0, 23, 24, 1000, 3_000_000, WEIGHTS.len() - 1] {
            assert!(parse(&WEIGHTS[..length]).is_none(), "{length} bytes");
        }
    }
}

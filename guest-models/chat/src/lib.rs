//! A small language model that writes on, character by character.

mod generator;
mod lanes;
mod lstm;
mod network;
mod sampling;
mod vocabulary;
mod weights;
mod windows;

use generator::{Generator, Language};
use sampling::Sampling;
use wardian_sdk::{Error, Metadata, Model, OrError, Request, Response, Streaming, Tensor, artifacts, stream};

const MAX_TOKENS: i64 = 100;
const MOST_TOKENS: i64 = 1000;

/// Characters of a part: about a word, which takes some ten milliseconds to write and no time to send.
const PART: usize = 8;

struct Chat {
    language: Language,
}

impl Model for Chat {
    fn load() -> Result<Self, Error> {
        let language = Language::parse(&artifacts::read("weights.bin")?).or_failed("weights.bin is not whole")?;
        Ok(Self { language })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("Writes on from a prompt, character by character")
            .input::<String>("text_input", [1])
            .output::<String>("text_output", [1])
            .property("max_tokens", "parameter: the most characters to write, 1 to 1000; 100 if not given")
            .property("temperature", "parameter: 0, always the likeliest, to 2, nearly anything; 0.5 if not given")
            .property("seed", "parameter: an integer; the same seed gives the same text; 0 if not given")
            .property("framework", "textgenrnn 2.0.0")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        Ok(output(self.write(&request)?.collect()))
    }
}

impl Streaming for Chat {
    fn infer_stream(&self, request: Request) -> Result<(), Error> {
        let mut text = self.write(&request)?;
        loop {
            let part: String = text.by_ref().take(PART).collect();
            if part.is_empty() {
                return Ok(());
            }
            stream::emit(output(part))?;
        }
    }
}

impl Chat {
    /// The characters that follow a request's prompt, as they are written.
    fn write(&self, request: &Request) -> Result<impl Iterator<Item = char>, Error> {
        let prompts = request.input("text_input")?.strings()?;
        let prompt = prompts.first().or_rejected("\"text_input\" is empty, and should be one text")?;
        let most = max_tokens(request)?;
        // Where the network ends the text, it might as well begin another.
        Ok(Generator::new(&self.language, prompt, sampling(request)?).fuse().take(most))
    }
}

fn output(text: String) -> Response {
    Response::new().output(Tensor::from_strings("text_output", [1], [text]))
}

fn max_tokens(request: &Request) -> Result<usize, Error> {
    let asked = request.parameter("max_tokens").map_or(Some(MAX_TOKENS), |value| value.as_integer());
    let most = asked.filter(|most| (1..=MOST_TOKENS).contains(most));
    let most =
        most.or_rejected(format_args!("parameter \"max_tokens\" is to be an integer from 1 to {MOST_TOKENS}"))?;
    Ok(most as usize)
}

fn sampling(request: &Request) -> Result<Sampling, Error> {
    let temperature = request.parameter("temperature").map_or(Some(0.5), |value| value.as_number());
    let temperature = temperature.filter(|temperature| (0.0..=2.0).contains(temperature));
    let seed = request.parameter("seed").map_or(Some(0), |value| value.as_integer());
    Ok(Sampling {
        temperature: temperature.or_rejected("parameter \"temperature\" is to be a number from 0 to 2")?,
        seed: seed.or_rejected("parameter \"seed\" is to be an integer")? as u64,
    })
}

wardian_sdk::export!(Chat, streaming);

#[cfg(test)]
mod tests {
    use wardian_sdk::{Parameter, ParameterValue};

    use super::*;

    fn request(name: &str, value: impl Into<ParameterValue>) -> Request {
        let parameters = vec![Parameter { name: name.to_owned(), value: value.into() }];
        let inputs = vec![Tensor::from_strings("text_input", [1], ["Hello"])];
        Request { id: String::new(), parameters, inputs, outputs: vec![] }
    }

    fn ask(name: &str, value: impl Into<ParameterValue>) -> Result<String, Error> {
        text_of(&Chat::load()?.infer(request(name, value))?)
    }

    fn text_of(response: &Response) -> Result<String, Error> {
        Ok(response.outputs[0].strings()?.concat())
    }

    #[test]
    fn parts_make_up_the_same_text() -> Result<(), Error> {
        let chat = Chat::load()?;
        let (parts, outcome) = stream::collect(|| chat.infer_stream(request("max_tokens", 20)));
        outcome?;
        let texts = parts.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(texts.concat(), ask("max_tokens", 20)?);
        assert!(texts.len() >= 3 && texts.iter().all(|text| text.chars().count() <= PART), "{texts:?}");
        Ok(())
    }

    #[test]
    fn answers_its_golden_requests() -> Result<(), Error> {
        wardian_sdk::golden::check::<Chat>()
    }

    #[test]
    fn max_tokens_counts_characters() -> Result<(), Error> {
        assert_eq!(ask("max_tokens", 7)?, " the wa");
        Ok(())
    }

    #[test]
    fn a_seed_gives_a_text_of_its_own() -> Result<(), Error> {
        assert_eq!(ask("seed", 1)?, ask("seed", 1)?);
        assert_ne!(ask("seed", 1)?, ask("seed", -1)?);
        Ok(())
    }

    #[test]
    fn parameters_out_of_bounds_are_rejected() {
        for most in [0, 1001] {
            assert!(matches!(ask("max_tokens", most), Err(Error::Rejected(_))));
        }
        for temperature in [-0.1, 2.1, f64::NAN] {
            assert!(matches!(ask("temperature", temperature), Err(Error::Rejected(_))));
        }
        assert!(matches!(ask("seed", 0.5), Err(Error::Rejected(_))));
    }

    #[test]
    fn weights_cut_short_are_refused() -> Result<(), Error> {
        let file = artifacts::read("weights.bin")?;
        for length in [0, 11, 12, 2000, file.len() - 4, file.len() - 1] {
            assert!(Language::parse(&file[..length]).is_none(), "{length} bytes");
        }
        Ok(())
    }
}

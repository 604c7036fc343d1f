//! A small language model that continues a text character by character, and remembers the
//! conversation of a session.

mod conversation;
mod generator;
mod lanes;
mod lstm;
mod network;
mod sampling;
mod token_usage;
mod vocabulary;
mod windows;

use conversation::Conversation;
use generator::{Generator, Language};
use sampling::Sampling;
use token_usage::TokenUsage;
use wardian_sdk::{
    Deferred, Error, Metadata, Model, OrError, Request, Response, Streaming, Tensor, artifacts,
    stream, tasks,
};

const MAX_TOKENS: i64 = 100;
const MOST_TOKENS: i64 = 1000;

/// Characters of a part: about a word, which takes some ten milliseconds to compute.
const PART: usize = 8;

/// The name of the deferred task.
const SUMMARISE: &str = "summarise";

struct Chat {
    language: Language,
}

impl Model for Chat {
    fn load() -> Result<Self, Error> {
        let language = Language::parse(&artifacts::read("weights.bin")?)
            .or_failed("weights.bin is not whole")?;
        Ok(Self { language })
    }

    fn metadata(&self) -> Metadata {
        Metadata::new()
            .description("Writes on from a prompt, character by character")
            .input::<String>("text_input", [1])
            .output::<String>("text_output", [1])
            .optional_output::<String>("summary", [1])
            .optional_output::<i64>(token_usage::PROMPT_TOKENS, [1])
            .optional_output::<i64>(token_usage::COMPLETION_TOKENS, [1])
            .optional_output::<String>(token_usage::FINISH_REASON, [1])
            .property(
                "max_tokens",
                "parameter: the most characters to write, 1 to 1000; 100 if not given",
            )
            .property(
                "temperature",
                "parameter: 0, always the likeliest, to 2, nearly anything; 0.5 if not given",
            )
            .property(
                "seed",
                "parameter: an integer; the same seed gives the same text; 0 if not given",
            )
            .property("framework", "textgenrnn 2.0.0")
    }

    fn infer(&self, request: Request) -> Result<Response, Error> {
        let mut turn = Turn::begin(&request)?;
        let mut usage = TokenUsage::begin(&request, &turn.prompt, max_tokens(&request)?);
        let text: String = self.write(&turn.said(), &request)?.collect();
        usage.add(&text);
        turn.answer.push_str(&text);
        let response = usage.last(usage.part(output(text)));
        Ok(turn.end()?.into_iter().fold(response, Response::output))
    }
}

impl Streaming for Chat {
    fn infer_stream(&self, request: Request) -> Result<(), Error> {
        let mut turn = Turn::begin(&request)?;
        let mut usage = TokenUsage::begin(&request, &turn.prompt, max_tokens(&request)?);
        let mut text = self.write(&turn.said(), &request)?;
        loop {
            let part: String = text.by_ref().take(PART).collect();
            if part.is_empty() {
                break;
            }
            turn.answer.push_str(&part);
            usage.add(&part);
            stream::emit(usage.part(output(part)))?;
        }
        let last = turn.end()?.into_iter().fold(Response::new(), Response::output);
        let last = usage.last(last);
        if !last.outputs.is_empty() {
            stream::emit(last)?;
        }
        Ok(())
    }
}

impl Deferred for Chat {
    /// Computes the summary after the response, because no caller waits for it.
    fn run_deferred(&self, _name: &str, _payload: Vec<u8>) -> Result<(), Error> {
        let Some(mut conversation) = Conversation::recall()? else { return Ok(()) };
        conversation.summarise();
        conversation.keep()
    }
}

impl Chat {
    /// Returns the characters that follow the text, as they are computed.
    fn write<'a>(
        &'a self,
        said: &str,
        request: &Request,
    ) -> Result<impl Iterator<Item = char> + use<'a>, Error> {
        let most = max_tokens(request)?;
        // The network may end the text here, and may as well begin another.
        Ok(Generator::new(&self.language, said, sampling(request)?).fuse().take(most))
    }
}

/// The prompt and the response of one request.
struct Turn {
    /// The conversation of the request's session; `None` without a session.
    conversation: Option<Conversation>,
    prompt: String,
    answer: String,
}

impl Turn {
    fn begin(request: &Request) -> Result<Self, Error> {
        let prompts = request.input("text_input")?.strings()?;
        let prompt =
            prompts.first().or_rejected("\"text_input\" is empty, and should be one text")?;
        Ok(Self {
            conversation: Conversation::recall()?,
            prompt: (*prompt).to_owned(),
            answer: String::new(),
        })
    }

    /// Returns the whole text so far.
    fn said(&self) -> String {
        let before = self.conversation.as_ref().map_or("", |conversation| &conversation.said);
        format!("{before}{}", self.prompt)
    }

    /// Stores the conversation, and returns the summary of the earlier requests; `None` without a
    /// session.
    fn end(self) -> Result<Option<Tensor>, Error> {
        let Some(mut conversation) = self.conversation else { return Ok(None) };
        conversation.add(&self.prompt);
        conversation.add(&self.answer);
        conversation.keep()?;
        tasks::defer(SUMMARISE, [])?;
        Ok(Some(Tensor::from_strings("summary", [1], [conversation.summary])))
    }
}

fn output(text: String) -> Response {
    Response::new().output(Tensor::from_strings("text_output", [1], [text]))
}

fn max_tokens(request: &Request) -> Result<usize, Error> {
    let asked =
        request.parameter("max_tokens").map_or(Some(MAX_TOKENS), |value| value.as_integer());
    let most = asked.filter(|most| (1..=MOST_TOKENS).contains(most));
    let most = most.or_rejected(format_args!(
        "parameter \"max_tokens\" is to be an integer from 1 to {MOST_TOKENS}"
    ))?;
    Ok(most as usize)
}

fn sampling(request: &Request) -> Result<Sampling, Error> {
    let temperature = request.parameter("temperature").map_or(Some(0.5), |value| value.as_number());
    let temperature = temperature.filter(|temperature| (0.0..=2.0).contains(temperature));
    let seed = request.parameter("seed").map_or(Some(0), |value| value.as_integer());
    Ok(Sampling {
        temperature: temperature
            .or_rejected("parameter \"temperature\" is to be a number from 0 to 2")?,
        seed: seed.or_rejected("parameter \"seed\" is to be an integer")? as u64,
    })
}

wardian_sdk::export!(Chat, streaming, deferred);

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
    fn a_session_continues_its_conversation() -> Result<(), Error> {
        wardian_sdk::session::enter("a");
        let chat = Chat::load()?;
        let first = chat.infer(request("max_tokens", 20))?;
        assert_eq!(first.outputs[1].strings()?, [""]);
        assert_eq!(tasks::take_deferred().len(), 1);
        chat.run_deferred(SUMMARISE, vec![])?;
        let second = chat.infer(request("max_tokens", 20))?;
        assert_ne!(text_of(&first)?, text_of(&second)?, "it has read what was said before");
        let conversation = Conversation::recall()?.or_failed("a session")?;
        assert!(!conversation.summary.is_empty());
        assert_eq!(second.outputs[1].strings()?, [conversation.summary]);
        assert_eq!(conversation.said.matches("Hello").count(), 2);
        Ok(())
    }

    #[test]
    fn parts_add_up_to_the_text() -> Result<(), Error> {
        let chat = Chat::load()?;
        let (parts, outcome) = stream::collect(|| chat.infer_stream(request("max_tokens", 20)));
        outcome?;
        let texts = parts.iter().map(text_of).collect::<Result<Vec<_>, _>>()?;
        assert_eq!(texts.concat(), ask("max_tokens", 20)?);
        assert!(
            texts.len() >= 3 && texts.iter().all(|text| text.chars().count() <= PART),
            "{texts:?}"
        );
        Ok(())
    }

    #[test]
    fn tokens_and_the_end_are_reported_if_asked_for_by_name() -> Result<(), Error> {
        let names = ["text_output", "prompt_tokens", "completion_tokens", "finish_reason"];
        let outputs = names.map(str::to_owned).to_vec();
        let asked = Request { outputs, ..request("max_tokens", 20) };
        let chat = Chat::load()?;

        let response = chat.infer(asked.clone())?;
        assert_eq!(response.outputs.len(), 4);
        assert_eq!(response.outputs[1].view::<i64>()?.to_vec(), [5]);
        assert_eq!(response.outputs[2].view::<i64>()?.to_vec(), [20]);
        assert_eq!(response.outputs[3].strings()?, ["length"]);

        let (parts, outcome) = stream::collect(|| chat.infer_stream(asked));
        outcome?;
        assert_eq!(parts[0].outputs[2].view::<i64>()?.to_vec(), [8]);
        let last = parts.last().or_failed("a last part")?;
        assert_eq!(last.outputs[0].strings()?, ["length"]);
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
    fn different_seeds_give_different_texts() -> Result<(), Error> {
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
    fn truncated_weights_are_refused() -> Result<(), Error> {
        let file = artifacts::read("weights.bin")?;
        for length in [0, 11, 12, 2000, file.len() - 4, file.len() - 1] {
            assert!(Language::parse(&file[..length]).is_none(), "{length} bytes");
        }
        Ok(())
    }
}

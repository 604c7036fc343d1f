//! The JSON of an answer and of its chunks.

use std::time::SystemTime;

use serde::Serialize;

use super::settled::{End, Usage};
use super::{Generation, Kind};

/// The beginning of an answer and of all its chunks.
#[derive(Clone)]
pub(super) struct Head {
    kind: Kind,
    id: String,
    /// Seconds since 1970.
    created: u64,
    model: String,
    version: String,
}

#[derive(Serialize)]
struct Body<'a, C> {
    id: &'a str,
    object: &'static str,
    created: u64,
    model: &'a str,
    /// Changes when another version answers.
    system_fingerprint: &'a str,
    choices: &'a [C],
    /// Absent in the chunks of a request that does not ask for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    usage: Option<Option<Usage>>,
}

#[derive(Serialize)]
struct ChatChoice<'a> {
    index: u32,
    message: Message<'a>,
    logprobs: Option<()>,
    finish_reason: &'static str,
}

#[derive(Serialize)]
struct Message<'a> {
    role: &'static str,
    content: &'a str,
    refusal: Option<()>,
}

#[derive(Serialize)]
struct ChatDelta<'a> {
    index: u32,
    delta: Delta<'a>,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

#[derive(Default, Serialize)]
struct Delta<'a> {
    #[serde(skip_serializing_if = "Option::is_none")]
    role: Option<&'static str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    content: Option<&'a str>,
}

#[derive(Serialize)]
struct TextChoice<'a> {
    index: u32,
    text: &'a str,
    logprobs: Option<()>,
    finish_reason: Option<&'static str>,
}

const ASSISTANT: &str = "assistant";

impl Head {
    /// Returns the head of the answer to a request.
    pub(super) fn new(generation: &Generation) -> Self {
        let kind = generation.form().kind;
        let prefix = if kind == Kind::Chat { "chatcmpl" } else { "cmpl" };
        let model = generation.servable().id();
        let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);

        Head {
            kind,
            id: format!("{prefix}-{}", generation.request_id()),
            created: since.map_or(0, |since| since.as_secs()),
            model: model.name.to_string(),
            version: model.version.to_string(),
        }
    }

    /// Returns the whole answer.
    pub(super) fn whole(&self, text: &str, end: End) -> Vec<u8> {
        let End { reason, usage } = end;
        let usage = Some(Some(usage));

        match self.kind {
            Kind::Chat => {
                let message = Message { role: ASSISTANT, content: text, refusal: None };
                let choice =
                    ChatChoice { index: 0, message, logprobs: None, finish_reason: reason };
                self.body("chat.completion", &[choice], usage)
            }
            Kind::Completion => {
                let finish_reason = Some(reason);
                let choice = TextChoice { index: 0, text, logprobs: None, finish_reason };
                self.body("text_completion", &[choice], usage)
            }
        }
    }

    /// Returns the chunk that begins an answer; `None` if there is none.
    pub(super) fn first(&self, includes_usage: bool) -> Option<Vec<u8>> {
        if self.kind == Kind::Completion {
            return None;
        }

        let delta = Delta { role: Some(ASSISTANT), content: Some("") };
        Some(self.chat_chunk(delta, None, includes_usage))
    }

    /// Returns a chunk with text.
    pub(super) fn chunk(&self, text: &str, includes_usage: bool) -> Vec<u8> {
        match self.kind {
            Kind::Chat => {
                let delta = Delta { role: None, content: Some(text) };
                self.chat_chunk(delta, None, includes_usage)
            }
            Kind::Completion => self.text_chunk(text, None, includes_usage),
        }
    }

    /// Returns the chunk that says why an answer ended.
    pub(super) fn last(&self, reason: &'static str, includes_usage: bool) -> Vec<u8> {
        match self.kind {
            Kind::Chat => self.chat_chunk(Delta::default(), Some(reason), includes_usage),
            Kind::Completion => self.text_chunk("", Some(reason), includes_usage),
        }
    }

    /// Returns the chunk with the usage alone.
    pub(super) fn usage(&self, usage: Usage) -> Vec<u8> {
        let none: [(); 0] = [];
        self.body(self.chunk_object(), &none, Some(Some(usage)))
    }

    fn chat_chunk(
        &self,
        delta: Delta<'_>,
        finish_reason: Option<&'static str>,
        includes_usage: bool,
    ) -> Vec<u8> {
        let choice = ChatDelta { index: 0, delta, logprobs: None, finish_reason };
        self.body(self.chunk_object(), &[choice], includes_usage.then_some(None))
    }

    fn text_chunk(
        &self,
        text: &str,
        finish_reason: Option<&'static str>,
        includes_usage: bool,
    ) -> Vec<u8> {
        let choice = TextChoice { index: 0, text, logprobs: None, finish_reason };
        self.body(self.chunk_object(), &[choice], includes_usage.then_some(None))
    }

    fn chunk_object(&self) -> &'static str {
        match self.kind {
            Kind::Chat => "chat.completion.chunk",
            Kind::Completion => "text_completion",
        }
    }

    fn body<C: Serialize>(
        &self,
        object: &'static str,
        choices: &[C],
        usage: Option<Option<Usage>>,
    ) -> Vec<u8> {
        let body = Body {
            id: &self.id,
            object,
            created: self.created,
            model: &self.model,
            system_fingerprint: &self.version,
            choices,
            usage,
        };

        // Texts and numbers can always be serialized.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

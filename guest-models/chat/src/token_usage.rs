//! The report on an answer: its tokens, which are characters, and the reason of its end.
//!
//! Only a caller who asks for these outputs by name gets them.

use wardian_sdk::{Request, Response, Tensor};

pub(crate) const PROMPT_TOKENS: &str = "prompt_tokens";
pub(crate) const COMPLETION_TOKENS: &str = "completion_tokens";
pub(crate) const FINISH_REASON: &str = "finish_reason";

/// The tokens of one answer.
pub(crate) struct TokenUsage<'a> {
    /// The outputs that the caller has named.
    asked: &'a [String],
    prompt: usize,
    written: usize,
    most: usize,
}

impl<'a> TokenUsage<'a> {
    pub(crate) fn begin(request: &'a Request, prompt: &str, most: usize) -> Self {
        Self { asked: &request.outputs, prompt: prompt.chars().count(), written: 0, most }
    }

    /// Adds written text.
    pub(crate) fn add(&mut self, text: &str) {
        self.written += text.chars().count();
    }

    /// Adds the tokens so far to a part of the answer.
    pub(crate) fn part(&self, mut part: Response) -> Response {
        for (name, tokens) in [(PROMPT_TOKENS, self.prompt), (COMPLETION_TOKENS, self.written)] {
            if self.is_asked(name) {
                part = part.output(Tensor::new(name, [1], [tokens as i64]));
            }
        }
        part
    }

    /// Adds the reason of the end to the last part.
    pub(crate) fn last(&self, part: Response) -> Response {
        let reason = if self.written == self.most { "length" } else { "stop" };
        if self.is_asked(FINISH_REASON) {
            return part.output(Tensor::from_strings(FINISH_REASON, [1], [reason]));
        }
        part
    }

    fn is_asked(&self, name: &str) -> bool {
        self.asked.iter().any(|asked| asked == name)
    }
}

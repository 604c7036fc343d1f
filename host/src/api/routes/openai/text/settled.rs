//! The end of an answer, and its tokens.

use serde::Serialize;

use super::{Form, Generation};
use crate::api::routes::openai::report::Report;
use crate::model::InferResponse;

/// The known facts about an answer so far.
#[derive(Default)]
pub(super) struct Settled {
    report: Report,
    parts: u64,
    bytes: u64,
}

/// The end of an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct End {
    pub(super) reason: &'static str,
    pub(super) usage: Usage,
}

/// The tokens of a request and its answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub(super) struct Usage {
    prompt_tokens: u64,
    completion_tokens: u64,
    total_tokens: u64,
}

impl Settled {
    /// Adds a part of the answer, whose text is in `output`.
    pub(super) fn add(&mut self, part: &InferResponse, output: &str) {
        self.report.add(part);
        self.parts += u64::from(part.outputs.iter().any(|tensor| tensor.name == output));
        self.bytes += part.size();
    }

    /// Size of all parts in bytes.
    pub(super) fn bytes(&self) -> usize {
        self.bytes as usize
    }

    /// Returns the end of an answer that has ended.
    pub(super) fn end(&self, generation: &Generation) -> End {
        self.end_of(generation.form(), generation.is_stopped())
    }

    fn end_of(&self, form: &Form, is_stopped: bool) -> End {
        let prompt_tokens = self.report.prompt_tokens.unwrap_or(form.estimated_tokens);
        let completion_tokens = self.report.completion_tokens.unwrap_or(self.parts);

        let is_cut = form.max_tokens.is_some_and(|most| completion_tokens >= most);
        let reason = match self.report.finish_reason {
            _ if is_stopped => "stop",
            Some(reason) => reason,
            None if is_cut => "length",
            None => "stop",
        };

        let total_tokens = prompt_tokens.saturating_add(completion_tokens);
        let usage = Usage { prompt_tokens, completion_tokens, total_tokens };

        End { reason, usage }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::routes::openai::text::Kind;
    use crate::model::{Datatype, Tensor};

    fn form(max_tokens: Option<u64>) -> Form {
        Form {
            kind: Kind::Chat,
            output: "text_output".into(),
            streams: false,
            includes_usage: false,
            max_tokens,
            estimated_tokens: 7,
        }
    }

    #[test]
    fn parts_are_counted_if_the_model_reports_nothing() {
        let text = Tensor {
            name: "text_output".into(),
            datatype: Datatype::Bytes,
            shape: vec![1],
            data: b"\x01\0\0\0a".into(),
        };
        let part = InferResponse { outputs: vec![text], ..InferResponse::default() };

        let mut settled = Settled::default();
        for part in [&part, &InferResponse::default(), &part] {
            settled.add(part, "text_output");
        }

        let End { reason, usage } = settled.end_of(&form(None), false);
        let counted = Usage { prompt_tokens: 7, completion_tokens: 2, total_tokens: 9 };
        assert_eq!((reason, usage), ("stop", counted));
        assert_eq!(settled.end_of(&form(Some(3)), false).reason, "stop");
        assert_eq!(settled.end_of(&form(Some(2)), false).reason, "length");
        assert_eq!(settled.end_of(&form(Some(2)), true).reason, "stop");
    }

    #[test]
    fn the_report_of_a_model_counts() {
        let report = Report {
            prompt_tokens: Some(3),
            completion_tokens: Some(40),
            finish_reason: Some("length"),
        };
        let settled = Settled { report, parts: 5, bytes: 0 };

        let End { reason, usage } = settled.end_of(&form(None), false);
        assert_eq!((reason, usage.total_tokens), ("length", 43));
    }
}

//! The requests: fields of OpenAI's API that become an input and parameters of the model.
//!
//! Fields that OpenAI does not know are parameters if the model declares them, and are passed over
//! otherwise. Fields that it knows and that cannot be honoured are refused, unless their value is
//! the default.

use super::messages::Message;
use super::{Form, Kind, completion_prompt, messages, refused};
use crate::api::generated_text::{StopSequences, TextFilter, read_stop};
use crate::api::json::{JsonError, Reader};
use crate::api::oip::fitted_tensor::fit_shape;
use crate::api::oip::parameters::{RawParameter, RawValue};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::routes::openai::abilities::{Writer, declares};
use crate::api::routes::openai::fields::{Parameters, boolean, estimated_tokens, in_field, whole};
use crate::api::routes::openai::report::Report;
use crate::model::{Metadata, Tensor, TensorSpec, push_bytes_element};
use crate::tenant::Pacer;

/// The limit of an answer, for the model.
const MAX_TOKENS: &str = "max_tokens";

/// Reads a request to the model with this metadata. Fails with a text for the caller.
pub(super) fn read(
    kind: Kind,
    metadata: &Metadata,
    body: &[u8],
    pacer: &Pacer,
) -> Result<(DecodedRequest, Form), String> {
    let writer = match kind {
        Kind::Chat => Writer::of_chat(metadata)?,
        Kind::Completion => Writer::of_completion(metadata)?,
    };

    let mut fields = Fields::new(kind);
    let mut read = || {
        let mut reader = Reader::paced(body, pacer)?;
        reader.object(|reader, key| {
            fields.note(reader, &key)?;
            fields.read(reader, metadata, &key)
        })?;
        reader.expect_end()
    };
    read().map_err(|error: JsonError| error.to_string())?;

    fields.into_request(metadata, writer)
}

/// The fields of a request so far.
struct Fields {
    kind: Kind,
    seen: Vec<&'static str>,
    messages: Vec<Message>,
    prompt: Option<String>,
    stops: StopSequences,
    streams: bool,
    includes_usage: bool,
    max_tokens: Option<u64>,
    parameters: Parameters,
}

/// The fields with a meaning for the server, each at most once.
const KNOWN: [&str; 8] = [
    "max_completion_tokens",
    "max_tokens",
    "messages",
    "model",
    "prompt",
    "stop",
    "stream",
    "stream_options",
];

impl Fields {
    fn new(kind: Kind) -> Self {
        Fields {
            kind,
            seen: Vec::new(),
            messages: Vec::new(),
            prompt: None,
            stops: StopSequences::default(),
            streams: false,
            includes_usage: false,
            max_tokens: None,
            parameters: Parameters::default(),
        }
    }

    /// Fails if a known field is given a second time.
    fn note(&mut self, reader: &Reader<'_>, name: &str) -> Result<(), JsonError> {
        let Some(known) = KNOWN.into_iter().find(|known| *known == name) else { return Ok(()) };
        if self.seen.contains(&known) {
            return Err(reader.error(format!("'{known}' is given twice")));
        }

        self.seen.push(known);

        Ok(())
    }

    fn read(
        &mut self,
        reader: &mut Reader<'_>,
        metadata: &Metadata,
        name: &str,
    ) -> Result<(), JsonError> {
        if !declares(metadata, name) && in_field(name, refused::read(reader, name))? {
            return Ok(());
        }

        match (name, self.kind) {
            ("model", _) => reader.skip(),
            ("messages", Kind::Chat) => {
                self.messages = in_field(name, messages::read(reader))?;
                Ok(())
            }
            ("prompt", Kind::Completion) => {
                self.prompt = Some(in_field(name, completion_prompt::read(reader))?);
                Ok(())
            }
            ("stop", _) if !declares(metadata, name) => {
                self.stops = in_field(name, read_stop(reader))?;
                Ok(())
            }
            ("stream", _) => {
                self.streams = in_field(name, boolean(reader))?;
                Ok(())
            }
            ("stream_options", _) => in_field(name, self.read_stream_options(reader)),
            ("max_tokens" | "max_completion_tokens", _) => {
                let most = in_field(name, whole(reader, 1))?;
                // The newer field wins.
                if self.max_tokens.is_none() || name == "max_completion_tokens" {
                    self.max_tokens = most.or(self.max_tokens);
                }
                Ok(())
            }
            _ => self.parameters.read(reader, metadata, name),
        }
    }

    fn read_stream_options(&mut self, reader: &mut Reader<'_>) -> Result<(), JsonError> {
        if reader.null()? {
            return Ok(());
        }

        reader.object(|reader, key| match &*key {
            "include_usage" => {
                self.includes_usage = boolean(reader)?;
                Ok(())
            }
            _ => reader.skip(),
        })
    }

    fn into_request(
        self,
        metadata: &Metadata,
        writer: Writer<'_>,
    ) -> Result<(DecodedRequest, Form), String> {
        let Writer { input, output, takes_messages } = writer;
        let Fields { kind, messages, prompt, mut parameters, .. } = self;

        let prompt = match kind {
            Kind::Completion => prompt.ok_or("'prompt' is missing")?,
            Kind::Chat if messages.is_empty() => return Err("'messages' is missing".into()),
            Kind::Chat => messages::to_prompt(&messages),
        };
        let estimated_tokens = estimated_tokens(&prompt);
        let text = if takes_messages { messages::to_json(&messages) } else { prompt.into_bytes() };

        let max_tokens = self.max_tokens.filter(|_| declares(metadata, MAX_TOKENS));
        if let Some(most) = max_tokens {
            let value = RawValue::Whole(most.into());
            parameters.0.push(RawParameter { name: MAX_TOKENS.into(), value });
        }

        let mut decoded = DecodedRequest::default();
        decoded.take_server_parameters(parameters.0)?;
        decoded.text_filter = Some(TextFilter::new(output, self.stops));
        decoded.request.outputs = Report::outputs(metadata, &output.name);
        decoded.request.inputs.push(text_tensor(input, &text)?);

        let form = Form {
            kind,
            output: output.name.clone(),
            streams: self.streams,
            includes_usage: self.includes_usage,
            max_tokens,
            estimated_tokens,
        };

        Ok((decoded, form))
    }
}

/// Returns the tensor of one text.
fn text_tensor(input: &TensorSpec, text: &[u8]) -> Result<Tensor, String> {
    let shape = fit_shape(input, 1)?;
    let mut data = Vec::with_capacity(text.len() + size_of::<u32>());
    push_bytes_element(&mut data, text)?;

    Ok(Tensor { name: input.name.clone(), datatype: input.datatype, shape, data })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::model::{Datatype, Parameter, ParameterValue};

    fn spec(name: &str) -> TensorSpec {
        TensorSpec { name: name.into(), datatype: Datatype::Bytes, shape: vec![1], optional: false }
    }

    /// A model with this input that declares these parameters.
    fn model(input: &str, parameters: &[&str]) -> Metadata {
        let declared = |name: &&str| {
            let value = ParameterValue::Text("parameter".into());
            Parameter { name: (*name).into(), value }
        };
        Metadata {
            inputs: vec![spec(input)],
            outputs: vec![spec("text_output")],
            properties: parameters.iter().map(declared).collect(),
            ..Metadata::default()
        }
    }

    fn chat(text: &str) -> Result<(DecodedRequest, Form), String> {
        let metadata = model("text_input", &["max_tokens", "temperature", "seed", "styles"]);
        read(Kind::Chat, &metadata, text.as_bytes(), &Pacer::unmetered())
    }

    fn completion(text: &str) -> Result<(DecodedRequest, Form), String> {
        let metadata = model("text_input", &["max_tokens"]);
        read(Kind::Completion, &metadata, text.as_bytes(), &Pacer::unmetered())
    }

    fn parameters(decoded: &DecodedRequest) -> Vec<(&str, &ParameterValue)> {
        let parameters = decoded.request.parameters.iter();
        parameters.map(|parameter| (parameter.name.as_str(), &parameter.value)).collect()
    }

    const USER: &str = r#""messages": [{"role": "user", "content": "be"}]"#;

    #[test]
    fn a_chat_is_a_prompt_with_parameters() {
        let (decoded, form) = chat(&format!(
            r#"{{"model": "m", {USER}, "max_tokens": 9, "temperature": 0.5, "seed": 7,
                "styles": ["a"], "stream": true, "stream_options": {{"include_usage": true}}}}"#
        ))
        .unwrap();

        let tensor = &decoded.request.inputs[0];
        assert_eq!(
            (&tensor.shape[..], &tensor.data[4..]),
            (&[1][..], &b"user: be\nassistant:"[..])
        );
        assert_eq!(
            parameters(&decoded),
            [
                ("temperature", &ParameterValue::Number(0.5)),
                ("seed", &ParameterValue::Integer(7)),
                ("styles", &ParameterValue::Text(r#"["a"]"#.into())),
                ("max_tokens", &ParameterValue::Integer(9)),
            ]
        );
        assert!(form.streams && form.includes_usage);
        assert_eq!((form.max_tokens, form.estimated_tokens), (Some(9), 5));
    }

    #[test]
    fn a_model_of_messages_gets_json() {
        let metadata = model("messages", &[]);
        let text = format!("{{{USER}}}");
        let read = read(Kind::Chat, &metadata, text.as_bytes(), &Pacer::unmetered());
        let (decoded, _) = read.unwrap();
        assert_eq!(decoded.request.inputs[0].data[4..], *br#"[{"role":"user","content":"be"}]"#);
    }

    #[test]
    fn both_names_of_the_limit_have_the_same_effect() {
        let most = |fields: &str| chat(&format!("{{{USER}, {fields}}}")).unwrap().1.max_tokens;
        assert_eq!(most(r#""max_tokens": 5"#), Some(5));
        assert_eq!(most(r#""max_completion_tokens": 5"#), Some(5));
        assert_eq!(most(r#""max_completion_tokens": 5, "max_tokens": 9"#), Some(5));
        assert_eq!(most(r#""max_tokens": 9, "max_completion_tokens": 5"#), Some(5));
        assert_eq!(most(r#""max_tokens": 9, "max_completion_tokens": null"#), Some(9));
    }

    #[test]
    fn null_and_unknown_fields_change_nothing() {
        let plain = chat(&format!("{{{USER}}}")).unwrap();
        let more = chat(&format!(
            r#"{{{USER}, "frobnicate": {{"a": [1]}}, "store": false, "logit_bias": {{}},
                "stop": null, "n": null, "tools": null, "stream": null, "seed": null,
                "stream_options": null, "max_tokens": null, "top_p": 0.5, "user": "u"}}"#
        ))
        .unwrap();
        assert_eq!(plain.0.request, more.0.request);
        assert_eq!(plain.1, more.1);
    }

    #[test]
    fn a_completion_is_one_prompt() {
        let (decoded, form) = completion(r#"{"prompt": ["to be"], "max_tokens": 2}"#).unwrap();
        assert_eq!(decoded.request.inputs[0].data[4..], *b"to be");
        assert_eq!((form.kind, form.max_tokens), (Kind::Completion, Some(2)));
    }

    #[test]
    fn wrong_requests_are_explained() {
        for (fields, says) in [
            (r#""max_tokens": 0"#, "'max_tokens': expected a whole number from 1"),
            (r#""max_tokens": -1"#, "'max_tokens': expected a whole number from 1"),
            (r#""max_tokens": "5""#, "'max_tokens': expected a number"),
            (r#""max_completion_tokens": 1.5"#, "'max_completion_tokens': expected a whole"),
            (r#""n": 2"#, "'n': one answer is given"),
            (r#""logprobs": true"#, "'logprobs': "),
            (r#""response_format": {"type": "json_object"}"#, "'response_format': "),
            (r#""tool_choice": "required""#, "'tool_choice': "),
            (r#""stream": 1"#, "'stream': expected true or false"),
            (r#""stream_options": []"#, "'stream_options': expected an object"),
            (r#""stop": 1"#, "'stop': expected a text"),
            (r#""stop": [1]"#, "'stop': expected a string"),
            (r#""seed": 99999999999999999999"#, "'seed': the number is out of range"),
            (r#""seed": 1, "seed": 1"#, "'seed' is given twice"),
            (r#""stop": "a", "stop": "b""#, "'stop' is given twice"),
            (r#""messages": []"#, "'messages' is given twice"),
        ] {
            let error = chat(&format!("{{{USER}, {fields}}}")).unwrap_err();
            assert!(error.contains(says), "{fields}: {error}");
        }

        for (text, says) in [
            ("{}", "'messages' is missing"),
            (r#"{"messages": []}"#, "'messages': there is no message"),
            (r#"{"messages": "a"}"#, "'messages': expected an array"),
            (r#"{"messages": [{"role": "banana"}]}"#, "'messages': [0].role: there is no role"),
            (r#"{"messages""#, "expected ':'"),
        ] {
            let error = chat(text).unwrap_err();
            assert!(error.contains(says), "{text}: {error}");
        }
        assert!(completion("{}").unwrap_err().contains("'prompt' is missing"));
    }

    proptest! {
        #[test]
        fn arbitrary_text_does_not_panic(value in "[\\[\\]{}:,\" 0-9.a-]{0,24}") {
            let _ = chat(&value);
            for name in ["messages", "stop", "n", "max_tokens", "stream_options", "seed"] {
                let _ = chat(&format!("{{\"{name}\": {value}}}"));
            }
            let _ = completion(&format!("{{\"prompt\": {value}}}"));
        }
    }
}

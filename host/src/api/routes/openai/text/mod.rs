//! `POST /v1/chat/completions` and `POST /v1/completions`: text for a prompt, whole or in parts.
//!
//! Both call the model's streaming function, as `generate` does.

mod answer;
mod completion_prompt;
mod events;
mod messages;
mod refused;
mod request;
mod settled;

use axum::body::Bytes;
use axum::http::HeaderMap;
use axum::response::Response;

use self::answer::Head;
use self::events::ChunkEvents;
use self::settled::Settled;
use crate::api::auth::Caller;
use crate::api::context::RequestContext;
use crate::api::http::compression::{ContentCoding, response_coding};
use crate::api::http::content_type;
use crate::api::inference::{self, Answer};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::routes::generate::events::EventStream;
use crate::api::routes::generate::generation;
use crate::api::routes::openai::named_model::NamedRequest;
use crate::api::state::ApiState;
use crate::api::unary::Decode;
use crate::model::{InferError, InferResponse, Metadata, Tensor, bytes_elements};
use crate::tenant::Pacer;

/// The two routes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Chat,
    Completion,
}

/// A prompt in, text out.
#[derive(Clone, Copy)]
pub(super) struct TextCodec(pub(super) Kind);

/// The parts of a request that its response depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    kind: Kind,
    /// Name of the output with the text.
    output: String,
    streams: bool,
    /// True if the last event of a stream has the usage.
    includes_usage: bool,
    max_tokens: Option<u64>,
    /// Tokens of the prompt, unless the model counts them.
    estimated_tokens: u64,
}

type Generation = generation::Generation<TextCodec>;

impl Decode for TextCodec {
    type Form = Form;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, Form), String> {
        request::read(self.0, metadata, body, pacer)
    }
}

/// Answers a request to a model.
pub(super) async fn handle(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    named: NamedRequest,
    kind: Kind,
) -> Response {
    let NamedRequest { path, request, quota } = named;
    let coding = response_coding(request.headers());
    let codec = |headers: &HeaderMap| {
        content_type::JSON_ONLY.check(headers)?;
        Ok(TextCodec(kind))
    };

    let answer = |resolved| async move {
        let generation = Generation::start(state, caller, resolved, request, codec).await?;
        if generation.form().streams {
            respond_streamed(generation).await
        } else {
            respond_whole(generation, coding).await
        }
    };

    inference::respond_counted(state, context, caller, &path, Some(quota), answer).await
}

/// Waits for all parts and answers with the whole text.
async fn respond_whole(mut generation: Generation, coding: Option<ContentCoding>) -> Answer {
    let written = collect_text(&mut generation).await;
    generation.respond(written, coding).await
}

async fn collect_text(generation: &mut Generation) -> Result<Bytes, InferError> {
    let head = Head::new(generation);
    let mut settled = Settled::default();
    let mut texts = Vec::new();
    let mut held = 0;

    while let Some(part) = generation.next().await {
        let part = part?;
        let output = &generation.form().output;
        settled.add(&part, output);

        if let Some(text) = take_text(part, output) {
            held += text.data.len();
            texts.push(text);
        }
        generation.resize_memory(held)?;
    }

    let end = settled.end(generation);
    let work = move |pacer: &Pacer| Ok(Bytes::from(head.whole(&join(&texts, pacer)?, end)));
    let written = generation.work(settled.bytes(), work).await?;
    generation.resize_memory(written.len())?;

    Ok(written)
}

/// Waits for the first part and answers with a stream.
async fn respond_streamed(generation: Generation) -> Answer {
    let format = ChunkEvents::new(&generation);
    let events = EventStream::start(generation, format).await?;

    // The events hold their memory themselves.
    Ok((events.into_response(), None))
}

/// Takes the output with the text of a part; `None` if it has no text. A text may have many MiB, so
/// it is not read here.
fn take_text(part: InferResponse, output: &str) -> Option<Tensor> {
    let is_text = |tensor: &Tensor| tensor.name == output && tensor.data.len() > size_of::<u32>();
    part.outputs.into_iter().find(is_text)
}

/// Returns the text of an output, in which the text filter has left whole characters.
fn read_text(tensor: &Tensor) -> Result<&str, InferError> {
    let text = bytes_elements(&tensor.data).next().transpose().map_err(InferError::BadOutput)?;
    std::str::from_utf8(text.unwrap_or_default())
        .map_err(|_| InferError::NotJson(format!("output '{}' is not UTF-8", tensor.name)))
}

/// Joins the texts of all parts.
fn join(texts: &[Tensor], pacer: &Pacer) -> Result<String, InferError> {
    let mut joined = String::new();
    for tensor in texts {
        joined.push_str(read_text(tensor)?);
        pacer.checkpoint()?;
    }
    Ok(joined)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{Datatype, push_bytes_element};

    fn part(name: &str, text: &[u8]) -> InferResponse {
        let mut data = Vec::new();
        push_bytes_element(&mut data, text).unwrap();
        let (name, shape) = (name.into(), vec![1]);
        let outputs = vec![Tensor { name, datatype: Datatype::Bytes, shape, data }];
        InferResponse { outputs, ..InferResponse::default() }
    }

    #[test]
    fn a_text_is_taken_unread_and_read_as_work() {
        let [first, faulty] = [&b"caf\xc3\xa9"[..], b"\xff"].map(|text| part("text", text));
        let taken = [first, faulty].map(|part| take_text(part, "text").unwrap());

        assert_eq!(join(&taken[..1], &Pacer::unmetered()).unwrap(), "café");
        let error = join(&taken, &Pacer::unmetered()).unwrap_err();
        assert!(error.to_string().contains("output 'text' is not UTF-8"), "{error}");
    }

    #[test]
    fn parts_without_text_are_left_out() {
        assert_eq!(take_text(part("text", b""), "text"), None);
        assert_eq!(take_text(part("other", b"a"), "text"), None);
        assert_eq!(take_text(InferResponse::default(), "text"), None);
    }
}

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
use crate::model::{InferError, InferResponse, Metadata, bytes_elements};
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
    let mut text = String::new();

    while let Some(part) = generation.next().await {
        let part = part?;
        let output = &generation.form().output;
        settled.add(&part, output);
        text.push_str(text_of(&part, output)?);
        generation.resize_memory(text.len())?;
    }

    let end = settled.end(generation);
    let work = move |_: &Pacer| Ok(Bytes::from(head.whole(&text, end)));
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

/// Returns the text of a part, in which the text filter has left whole characters.
fn text_of<'p>(part: &'p InferResponse, output: &str) -> Result<&'p str, InferError> {
    let Some(tensor) = part.outputs.iter().find(|tensor| tensor.name == output) else {
        return Ok("");
    };

    let text = bytes_elements(&tensor.data).next().transpose().map_err(InferError::BadOutput)?;
    std::str::from_utf8(text.unwrap_or_default())
        .map_err(|_| InferError::NotJson(format!("output '{output}' is not UTF-8")))
}

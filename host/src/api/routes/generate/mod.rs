//! Triton's generate extension: a flat JSON object as the request, and the response as a whole
//! (`generate`) or in parts (`generate_stream`, as server-sent events).
//!
//! Both call the model's streaming function; a model without one answers in a single part. A
//! request that fails before its first part gets an ordinary HTTP error. Later the status has
//! already been sent, and the error becomes the last event.

pub(in crate::api) mod array_parameter;
mod codec;
pub(in crate::api) mod events;
pub(in crate::api) mod generation;
mod input_names;
mod merge;
mod missing_outputs;
mod request;
mod response;

use std::future::Future;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::Request;
use axum::response::Response;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::extract::ModelPath;
use crate::api::http::compression::{ContentCoding, response_coding};
use crate::api::inference::{self, Answer};
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::InferError;
use codec::{GenerateCodec, GenerateEvents};
use events::EventStream;
use merge::MergedResponse;

/// A request of the routes.
type Generation = generation::Generation<GenerateCodec>;

/// A request to the example model `chat`.
const EXAMPLE: &str = r#"{"text_input": "Hello", "parameters": {"max_tokens": 20}}"#;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::post("/v2/models/{model}/generate", Access::Infer, generate).describe(Operation {
            id: "generate",
            tag: "inference",
            summary: "Ask a model by name of its inputs, for the whole answer",
            request_body: "GenerateRequest",
            example: EXAMPLE,
            example_model: "chat",
            response_body: "GenerateResponse",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
        route::post("/v2/models/{model}/versions/{version}/generate", Access::Infer, generate)
            .describe(Operation {
                id: "generate_version",
                tag: "inference",
                summary: "Ask a version by name of its inputs, for the whole answer",
                request_body: "GenerateRequest",
                example: EXAMPLE,
                example_model: "chat",
                response_body: "GenerateResponse",
                errors: errors::INFERENCE,
                ..OPERATION
            }),
        route::post("/v2/models/{model}/generate_stream", Access::Infer, generate_stream).describe(
            Operation {
                id: "generate_stream",
                tag: "inference",
                summary: "Ask a model, for its answer in parts as they come",
                request_body: "GenerateRequest",
                example: EXAMPLE,
                example_model: "chat",
                response_body: "text/event-stream",
                errors: errors::INFERENCE,
                ..OPERATION
            },
        ),
        route::post(
            "/v2/models/{model}/versions/{version}/generate_stream",
            Access::Infer,
            generate_stream,
        )
        .describe(Operation {
            id: "generate_stream_version",
            tag: "inference",
            summary: "Ask a version, for its answer in parts as they come",
            request_body: "GenerateRequest",
            example: EXAMPLE,
            example_model: "chat",
            response_body: "text/event-stream",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
    ]
}

/// `POST /v2/models/{m}[/versions/{v}]/generate`.
async fn generate(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    respond(&state, context, &caller, path, request, respond_whole).await
}

/// `POST /v2/models/{m}[/versions/{v}]/generate_stream`.
async fn generate_stream(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    respond(&state, context, &caller, path, request, respond_streamed).await
}

async fn respond<F: Future<Output = Answer>>(
    state: &ApiState,
    context: RequestContext,
    caller: &Caller,
    path: ModelPath,
    request: Request<Body>,
    finish: impl FnOnce(Generation, Option<ContentCoding>) -> F,
) -> Response {
    let coding = response_coding(request.headers());

    let answer = |resolved| async move {
        let generation =
            Generation::start(state, caller, resolved, request, GenerateCodec::from_headers)
                .await?;
        finish(generation, coding).await
    };

    inference::respond(state, &context, caller, &path, answer).await
}

/// Waits for all parts and answers with the merged response.
async fn respond_whole(mut generation: Generation, coding: Option<ContentCoding>) -> Answer {
    let written = collect_parts(&mut generation).await;
    generation.respond(written, coding).await
}

async fn collect_parts(generation: &mut Generation) -> Result<Bytes, InferError> {
    let mut merged = MergedResponse::default();

    while let Some(part) = generation.next().await {
        merged.add(part?).map_err(InferError::BadOutput)?;
        generation.resize_memory(merged.size() as usize)?;
    }

    let written = generation.write_merged(merged).await?;
    generation.resize_memory(written.len())?;

    Ok(written)
}

/// Waits for the first part and answers with a stream. Streams are not compressed.
async fn respond_streamed(generation: Generation, _coding: Option<ContentCoding>) -> Answer {
    let events = EventStream::start(generation, GenerateEvents::default()).await?;

    // The events hold their memory themselves.
    Ok((events.into_response(), None))
}

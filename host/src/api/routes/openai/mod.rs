//! OpenAI's API: embeddings, completions and chat completions, below `/v1`.
//!
//! A model needs nothing for it but names: `abilities` tells from its metadata what it can do. The
//! body of a request names the model (`named_model`), and the request then passes the same steps as
//! every other: `embeddings` in `unary`, `text` in `generate`. `GET /v1/models`, whose answers
//! belong to other protocols too, is in `tensorflow`.

mod abilities;
mod embeddings;
mod fields;
mod named_model;
mod report;
mod text;

pub(in crate::api) mod error;

#[cfg(fuzzing)]
pub(in crate::api) mod fuzzing;

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::Request;
use axum::response::{IntoResponse, Response};

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::api::unary;
use embeddings::EmbeddingsCodec;
use named_model::NamedRequest;
use text::Kind;

/// The routes of this folder.
pub(super) fn endpoints() -> Vec<Endpoint> {
    let describe = |id, summary, request_body, example, response_body| Operation {
        id,
        tag: "openai",
        summary,
        request_body,
        example,
        response_body,
        errors: errors::INFERENCE,
        error_body: "OpenAiError",
        ..OPERATION
    };

    vec![
        route::post("/v1/embeddings", Access::Infer, embed).describe(describe(
            "v1_embeddings",
            "Embed texts",
            "EmbeddingsRequest",
            r#"{"model": "embedder", "input": "a cat"}"#,
            "EmbeddingsResponse",
        )),
        route::post("/v1/chat/completions", Access::Infer, chat).describe(describe(
            "v1_chat_completions",
            "Answer the messages of a chat, whole or in parts",
            "ChatRequest",
            r#"{"model": "chat", "messages": [{"role": "user", "content": "Hello"}], "max_tokens": 20}"#,
            "ChatResponse",
        )),
        route::post("/v1/completions", Access::Infer, complete).describe(describe(
            "v1_completions",
            "Continue a text, whole or in parts",
            "CompletionRequest",
            r#"{"model": "chat", "prompt": "Hello", "max_tokens": 20}"#,
            "CompletionResponse",
        )),
    ]
}

/// `POST /v1/embeddings`.
async fn embed(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    request: Request<Body>,
) -> Response {
    let named = named_model::read(&state, &caller, request).await;
    let NamedRequest { path, request, quota } = match named {
        Ok(named) => named,
        Err(error) => return error.into_response(),
    };

    let codec = EmbeddingsCodec::from_headers;
    unary::handle_counted(&state, &context, &caller, &path, request, Some(quota), codec).await
}

/// `POST /v1/chat/completions`.
async fn chat(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    request: Request<Body>,
) -> Response {
    write(&state, &context, &caller, request, Kind::Chat).await
}

/// `POST /v1/completions`.
async fn complete(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    request: Request<Body>,
) -> Response {
    write(&state, &context, &caller, request, Kind::Completion).await
}

async fn write(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    request: Request<Body>,
    kind: Kind,
) -> Response {
    match named_model::read(state, caller, request).await {
        Ok(named) => text::handle(state, context, caller, named, kind).await,
        Err(error) => error.into_response(),
    }
}

//! Triton's generate extension: a flat JSON object in, and the answer whole (`generate`) or in parts as they come
//! (`generate_stream`, as server-sent events).
//!
//! Both ask the model for its parts, and a model that does not stream answers in one. A request that fails before
//! its first part is an HTTP error like any other; after that the status has been sent, and an error is the last
//! event.

mod answering;
mod complete;
mod events;
mod gather;
mod list;
mod misspelt;
mod request;
mod response;

use std::future::Future;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::caller::Caller;
use super::edge::{Context, SERVER_TIMING};
use super::error::ApiError;
use super::infer::{self, Target};
use super::router::ModelPath;
use crate::model::InferError;
use answering::Answering;
use events::Events;

/// `POST /v2/models/{m}[/versions/{v}]/generate`.
pub(super) async fn generate(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<Context>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    answer(&state, context, &caller, path, request, gathered).await
}

/// `POST /v2/models/{m}[/versions/{v}]/generate_stream`.
pub(super) async fn generate_stream(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<Context>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    answer(&state, context, &caller, path, request, streamed).await
}

async fn answer<F: Future<Output = Result<Response, InferError>>>(
    state: &ApiState,
    context: Context,
    caller: &Caller,
    path: ModelPath,
    request: Request<Body>,
    respond: impl FnOnce(Answering) -> F,
) -> Response {
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.into_response(),
    };
    let target = Target { model: path.model, version: path.version };
    let begun = Answering::begin(state, context.clone(), caller, tenant.clone(), target.clone(), request).await;
    let outcome = match begun {
        Ok(answering) => respond(answering).await,
        Err(error) => {
            let outcome = Err(error);
            infer::tell(&context, tenant, &target, None, &outcome);
            outcome
        }
    };
    outcome.unwrap_or_else(|error| {
        let (model, version) = (&target.model, target.version.as_deref());
        ApiError::from(error).about_model(&state.dataplane, tenant.name(), model, version).into_response()
    })
}

/// Waits for all parts, and answers with them joined.
async fn gathered(mut answering: Answering) -> Result<Response, InferError> {
    let written = gather(&mut answering).await;
    answering.tell(&written);
    let body = written?;
    let response = respond("application/json", answering.server_timing(), Body::from(body));
    Ok(infer::followed_by(response, answering.take_afterwards()))
}

async fn gather(answering: &mut Answering) -> Result<Bytes, InferError> {
    let mut whole = gather::Whole::default();
    while let Some(part) = answering.next().await {
        whole.add(part?).map_err(InferError::BadOutput)?;
    }
    answering.write_whole(whole).await
}

/// Waits for the first part, and answers with it and those to come.
async fn streamed(answering: Answering) -> Result<Response, InferError> {
    // Has nginx pass on at once what it gets.
    const UNBUFFERED: (HeaderName, HeaderValue) =
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
    let events = Events::begin(answering).await?;
    let timing = events.server_timing();
    let mut response = respond("text/event-stream; charset=utf-8", timing, Body::from_stream(events.into_stream()));
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().extend([UNBUFFERED]);
    Ok(response)
}

fn respond(content_type: &'static str, timing: HeaderValue, body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(SERVER_TIMING, timing);
    response
}

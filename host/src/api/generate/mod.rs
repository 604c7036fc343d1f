//! Triton's generate extension: a flat JSON object as the request, and the response as a whole
//! (`generate`) or in parts (`generate_stream`, as server-sent events).
//!
//! Both call the model's streaming function; a model without one answers in a single part. A
//! request that fails before its first part gets an ordinary HTTP error. Later the status has
//! already been sent, and the error becomes the last event.

mod array_parameter;
mod events;
mod generation;
mod merge;
mod missing_outputs;
mod misspelt;
mod request;
mod response;

use std::future::Future;
use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::auth::Caller;
use super::error::ApiError;
use super::guarded_body::hold_until_sent;
use super::infer::compression::{ContentCoding, response_coding};
use super::infer::{self, Target};
use super::router::ModelPath;
use super::service::{RequestContext, SERVER_TIMING};
use crate::model::InferError;
use events::EventStream;
use generation::Generation;

/// `POST /v2/models/{m}[/versions/{v}]/generate`.
pub(super) async fn generate(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    respond(&state, context, &caller, path, request, respond_whole).await
}

/// `POST /v2/models/{m}[/versions/{v}]/generate_stream`.
pub(super) async fn generate_stream(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    respond(&state, context, &caller, path, request, respond_streamed).await
}

async fn respond<F: Future<Output = Result<Response, InferError>>>(
    state: &ApiState,
    context: RequestContext,
    caller: &Caller,
    path: ModelPath,
    request: Request<Body>,
    respond: impl FnOnce(Generation, Option<ContentCoding>) -> F,
) -> Response {
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.into_response(),
    };
    let target = Target { model: path.model, version: path.version };
    let coding = response_coding(request.headers());

    let begun = match infer::admit(state, tenant, &target) {
        Ok((place, handle)) => {
            let (context, tenant, target) = (context.clone(), tenant.clone(), target.clone());
            let begun =
                Generation::start(state, context, caller, tenant, target, handle, request).await;
            begun.map(|answering| (place, answering))
        }
        Err(error) => Err(error),
    };

    let outcome = match begun {
        Ok((place, answering)) => {
            respond(answering, coding).await.map(|response| hold_until_sent(place, response))
        }
        Err(error) => {
            let outcome = Err(error);
            infer::log_outcome(&context, tenant, &target, None, &outcome);
            outcome
        }
    };

    outcome.unwrap_or_else(|error| {
        let (model, version) = (&target.model, target.version.as_deref());
        ApiError::from(error)
            .with_model_hints(&state.dataplane, tenant.name(), model, version)
            .into_response()
    })
}

/// Waits for all parts and answers with the merged response.
async fn respond_whole(
    mut answering: Generation,
    coding: Option<ContentCoding>,
) -> Result<Response, InferError> {
    let written = collect_parts(&mut answering).await;
    answering.log_outcome(&written);

    let body = written?;
    let response = to_response("application/json", answering.server_timing(), Body::from(body));
    let response = infer::attach_after_response(response, answering.take_after_response());
    let response = answering.compress(coding, response).await;

    answering.resize_memory(response.body().size_hint().lower() as usize)?;

    Ok(hold_until_sent(answering.into_memory(), response))
}

async fn collect_parts(answering: &mut Generation) -> Result<Bytes, InferError> {
    let mut whole = merge::MergedResponse::default();
    while let Some(part) = answering.next().await {
        whole.add(part?).map_err(InferError::BadOutput)?;
        answering.resize_memory(whole.size() as usize)?;
    }

    let written = answering.write_merged(whole).await?;
    answering.resize_memory(written.len())?;

    Ok(written)
}

/// Waits for the first part and answers with a stream. Streams are not compressed.
async fn respond_streamed(
    answering: Generation,
    _coding: Option<ContentCoding>,
) -> Result<Response, InferError> {
    // Disables response buffering in nginx.
    const UNBUFFERED: (HeaderName, HeaderValue) =
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

    let events = EventStream::start(answering).await?;
    let timing = events.server_timing();

    let mut response = to_response(
        "text/event-stream; charset=utf-8",
        timing,
        Body::from_stream(events.into_stream()),
    );

    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    response.headers_mut().extend([UNBUFFERED]);

    Ok(response)
}

fn to_response(content_type: &'static str, timing: HeaderValue, body: Body) -> Response {
    let mut response = body.into_response();
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    response.headers_mut().insert(SERVER_TIMING, timing);

    response
}

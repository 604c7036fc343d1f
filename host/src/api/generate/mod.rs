//! Triton's generate extension: a flat JSON object as the request, and the response as a whole
//! (`generate`) or in parts (`generate_stream`, as server-sent events).
//!
//! Both call the model's streaming function; a model without one answers in a single part. A
//! request that fails before its first part gets an ordinary HTTP error. Later the status has
//! already been sent, and the error becomes the last event.

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
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::State;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::ApiState;
use super::caller::Caller;
use super::edge::{Context, SERVER_TIMING};
use super::error::ApiError;
use super::infer::compression::{Coding, for_response};
use super::infer::{self, Target};
use super::kept::keep;
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
    respond: impl FnOnce(Answering, Option<Coding>) -> F,
) -> Response {
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.into_response(),
    };
    let target = Target { model: path.model, version: path.version };
    let coding = for_response(request.headers());

    let begun = match infer::find(state, tenant, &target) {
        Ok((place, handle)) => {
            let (context, tenant, target) = (context.clone(), tenant.clone(), target.clone());
            let begun =
                Answering::begin(state, context, caller, tenant, target, handle, request).await;
            begun.map(|answering| (place, answering))
        }
        Err(error) => Err(error),
    };

    let outcome = match begun {
        Ok((place, answering)) => {
            respond(answering, coding).await.map(|response| keep(place, response))
        }
        Err(error) => {
            let outcome = Err(error);
            infer::tell(&context, tenant, &target, None, &outcome);
            outcome
        }
    };

    outcome.unwrap_or_else(|error| {
        let (model, version) = (&target.model, target.version.as_deref());
        ApiError::from(error)
            .about_model(&state.dataplane, tenant.name(), model, version)
            .into_response()
    })
}

/// Waits for all parts and answers with the merged response.
async fn gathered(
    mut answering: Answering,
    coding: Option<Coding>,
) -> Result<Response, InferError> {
    let written = gather(&mut answering).await;
    answering.tell(&written);

    let body = written?;
    let response = respond("application/json", answering.server_timing(), Body::from(body));
    let response = infer::followed_by(response, answering.take_afterwards());
    let response = answering.compress(coding, response).await;

    answering.hold(response.body().size_hint().lower() as usize)?;

    Ok(keep(answering.into_memory(), response))
}

async fn gather(answering: &mut Answering) -> Result<Bytes, InferError> {
    let mut whole = gather::Whole::default();
    while let Some(part) = answering.next().await {
        whole.add(part?).map_err(InferError::BadOutput)?;
        answering.hold(whole.size() as usize)?;
    }

    let written = answering.write_whole(whole).await?;
    answering.hold(written.len())?;

    Ok(written)
}

/// Waits for the first part and answers with a stream. Streams are not compressed.
async fn streamed(answering: Answering, _coding: Option<Coding>) -> Result<Response, InferError> {
    // Disables response buffering in nginx.
    const UNBUFFERED: (HeaderName, HeaderValue) =
        (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));

    let events = Events::begin(answering).await?;
    let timing = events.server_timing();

    let mut response = respond(
        "text/event-stream; charset=utf-8",
        timing,
        Body::from_stream(events.into_stream()),
    );

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

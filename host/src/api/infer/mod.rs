//! The inference route: from the bytes of a request to an [`InferRequest`], and from its response
//! back to bytes.
//!
//! [`InferRequest`]: crate::model::InferRequest

mod binary;
pub(super) mod body;
pub(super) mod compression;
pub(super) mod deadline;
mod framing;
pub(super) mod host_work;
pub(super) mod offload;
pub(super) mod parameters;
pub(super) mod request_json;
pub(super) mod response_json;
pub(super) mod tensor_json;

#[cfg(fuzzing)]
pub(super) mod fuzzing;

#[cfg(test)]
mod bad_json_tests;
#[cfg(test)]
mod round_trip_tests;

use std::sync::Arc;
use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::admitted_request::AdmittedRequest;
use super::auth::Caller;
use super::error::ApiError;
use super::guarded_body::hold_until_sent;
use super::request_memory::RequestMemory;
use super::service::{RequestContext, SERVER_TIMING, server_timing};
use super::{ApiState, json};
use crate::dataplane::{Inference, RequestRecorder, Timings};
use crate::model::{Deadline, InferError, InferResponse, Version};
use crate::servable::{AfterResponse, ServableHandle};
use crate::tenant::{Pacer, Tenant};
use compression::{ContentCoding, MaybeCompressed};
use framing::{Dialect, Framing};
use host_work::HostWork;
use request_json::{DecodedRequest, OutputSelection};
pub(super) use request_json::{read_request, read_tensor};
use response_json::EncodedResponse;

/// The model and the optional version of an inference request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Target {
    pub(super) model: String,
    pub(super) version: Option<String>,
}

impl Target {
    /// Parses `/v2/models/{m}[/versions/{v}]/infer`; `None` for other paths and for paths with
    /// escapes.
    pub(super) fn parse(path: &str) -> Option<Target> {
        let named = path.strip_prefix("/v2/models/")?.strip_suffix("/infer")?;
        let (model, version) = match named.split_once('/') {
            None => (named, None),
            Some((model, rest)) => (model, Some(rest.strip_prefix("versions/")?)),
        };
        let plain = |part: &str| !part.is_empty() && !part.contains(['/', '%']);
        let target = || Target { model: model.to_string(), version: version.map(str::to_string) };

        (plain(model) && version.is_none_or(plain)).then(target)
    }
}

/// Answers an inference request.
pub(super) async fn respond(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    target: Target,
    request: Request<Body>,
) -> Response {
    let tenant = match caller.tenant() {
        Ok(tenant) => tenant,
        Err(refusal) => return refusal.into_response(),
    };
    let found = admit(state, tenant, &target);
    let version = found.as_ref().ok().map(|(_, handle)| handle.id().version);
    let outcome = match found {
        Ok((place, handle)) => infer(state, context, caller, handle, request, place, tenant).await,
        Err(error) => Err(error),
    };

    log_outcome(context, tenant, &target, version, &outcome);

    outcome.unwrap_or_else(|error| {
        let (model, version) = (&target.model, target.version.as_deref());
        ApiError::from(error)
            .with_model_hints(&state.dataplane, tenant.name(), model, version)
            .into_response()
    })
}

/// Admits a request and resolves its model. Must precede reading the body, which stays in memory
/// while the request runs.
pub(super) fn admit(
    state: &ApiState,
    tenant: &Arc<Tenant>,
    target: &Target,
) -> Result<(AdmittedRequest, ServableHandle), InferError> {
    let place = AdmittedRequest::admit(&state.dataplane, tenant)?;
    Ok((place, state.dataplane.find(tenant.name(), &target.model, target.version.as_deref())?))
}

/// Answers an admitted request. The response holds the admission and its memory until it has been
/// sent.
async fn infer(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    handle: ServableHandle,
    request: Request<Body>,
    place: AdmittedRequest,
    tenant: &Arc<Tenant>,
) -> Result<Response, InferError> {
    let mut tally = RequestRecorder::new(&handle, context.received);
    let mut memory = RequestMemory::new(tenant);

    match infer_measured(state, context, caller, handle, request, &mut memory, &mut tally).await {
        Ok((response, timings)) => {
            tally.record_success(&timings);
            Ok(hold_until_sent((place, memory), response))
        }
        Err(error) => {
            tally.record_failure(&error);
            Err(error)
        }
    }
}

async fn infer_measured(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    handle: ServableHandle,
    request: Request<Body>,
    memory: &mut RequestMemory,
    tally: &mut RequestRecorder,
) -> Result<(Response, Timings), InferError> {
    let (head, body) = request.into_parts();
    let manner = WireOptions::from_headers(&head.headers)?;
    let body = body::read(body, handle.settings().limits.request, memory).await?;
    let mut handling = HostWork::new(&state.workers, &handle);
    let decoded = decode(&manner, &handle, body, context.received, &mut handling).await?;
    let DecodedRequest { request, outputs: form, timeout, .. } = decoded;

    tally.set_rows(&request);
    memory.resize(request.size() as usize)?;

    let deadline = deadline::shorter(manner.deadline, timeout);
    let id = request.id.clone();
    let (received, asker) = (context.received, caller.caller_info(context.request_id.clone()));
    let answer = state.dataplane.infer(&handle, request, deadline, received, asker).await?;
    let Inference { response, timings, after_response: afterwards } = answer;

    memory.resize(response.size() as usize)?;

    let (encoded, coding) = encode(&manner, handle, id, response, form, &mut handling).await?;
    memory.resize(encoded.body.capacity())?;

    Ok((
        attach_after_response(to_response(&manner, encoded, coding, &timings), afterwards),
        timings,
    ))
}

/// Attaches work that starts once the connection has written the head of the response.
pub(super) fn attach_after_response(
    mut response: Response,
    afterwards: Option<AfterResponse>,
) -> Response {
    if let Some(afterwards) = afterwards {
        // hyper drops the extensions after writing the head, which starts the work.
        response.extensions_mut().insert(Arc::new(afterwards));
    }
    response
}

/// Options from the request headers for decoding the request and encoding the response.
struct WireOptions {
    framing: Framing,
    dialect: Dialect,
    request_coding: Option<ContentCoding>,
    response_coding: Option<ContentCoding>,
    deadline: Option<Deadline>,
}

impl WireOptions {
    fn from_headers(headers: &HeaderMap) -> Result<Self, InferError> {
        let (framing, dialect) = framing::from_headers(headers)?;
        Ok(WireOptions {
            framing,
            dialect,
            request_coding: compression::request_coding(headers)?,
            response_coding: compression::response_coding(headers),
            deadline: deadline::from_header(headers)?,
        })
    }
}

async fn decode(
    manner: &WireOptions,
    handle: &ServableHandle,
    body: Bytes,
    received: Instant,
    handling: &mut HostWork,
) -> Result<DecodedRequest, InferError> {
    let (framing, limit) = (manner.framing, handle.settings().limits.request);
    let now = handling.inline_limit();
    let packed =
        handling.run_inline(|| MaybeCompressed::new(manner.request_coding, body, limit, now))?;
    let (length, handle) = (packed.work_length(), handle.clone());

    let work = move |pace: &Pacer| {
        let mut memory = RequestMemory::new(handle.factory().tenant());
        let body = packed.into_plain(limit, &mut memory, pace)?;
        framing::decode(framing, handle.metadata(), &body, pace).map_err(InferError::InvalidInput)
    };

    handling.read(length, received, manner.deadline, work).await
}

async fn encode(
    manner: &WireOptions,
    handle: ServableHandle,
    id: String,
    response: InferResponse,
    form: OutputSelection,
    handling: &mut HostWork,
) -> Result<(EncodedResponse, Option<ContentCoding>), InferError> {
    let coding = manner.response_coding;
    let length = compression::work_bytes(coding, response.size() as usize);
    let work = move |pace: &Pacer| {
        let encoded = response_json::encode(handle.id(), &id, &response, &form, pace)?;
        Ok(compression::compress_response(coding, encoded, pace))
    };

    handling.write(length, work).await
}

fn to_response(
    manner: &WireOptions,
    encoded: EncodedResponse,
    coding: Option<ContentCoding>,
    timings: &Timings,
) -> Response {
    let mut response = Body::from(encoded.body).into_response();
    let headers = response.headers_mut();
    framing::set_headers(headers, manner.dialect, encoded.json_length);
    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }

    headers.insert(SERVER_TIMING, timing_header(timings));

    response
}

/// Formats timings as a `Server-Timing` value.
pub(super) fn timing_header(timings: &Timings) -> HeaderValue {
    let parts = [
        ("queue", timings.queue),
        ("instance", timings.instance),
        ("compute", timings.compute),
        ("interceptors", timings.interceptors),
    ];
    // Most tenants have no interceptors.
    server_timing(if timings.interceptors.is_zero() { &parts[..3] } else { &parts })
}

/// Logs the outcome of a request, including details that only the model's owner may read.
pub(super) fn log_outcome<T>(
    context: &RequestContext,
    tenant: &Tenant,
    target: &Target,
    version: Option<Version>,
    outcome: &Result<T, InferError>,
) {
    let (request_id, tenant, version) =
        (&context.request_id, tenant.name(), version.map(Version::number));

    let error = match outcome {
        // The request reached a model, so the name is valid and printable.
        Ok(_) => {
            return tracing::debug!(%request_id, %tenant, model = target.model, version, "answered");
        }
        Err(error) => error,
    };

    let (model, code) = (json::shorten(&target.model), ApiError::from(error).code);

    match error.private_detail() {
        Some(detail) => {
            tracing::warn!(%request_id, %tenant, model, version, code, detail, "a request failed")
        }
        None => {
            tracing::debug!(%request_id, %tenant, model, version, code, "a request was refused")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_path_names_model_and_version() {
        let target = |model: &str, version: Option<&str>| {
            Some(Target { model: model.into(), version: version.map(str::to_string) })
        };
        assert_eq!(Target::parse("/v2/models/a/infer"), target("a", None));
        assert_eq!(Target::parse("/v2/models/a.b-c/versions/3/infer"), target("a.b-c", Some("3")));
        for other in [
            "/v2/models/infer",
            "/v2/models//infer",
            "/v2/models/a/versions//infer",
            "/v2/models/a%2e/infer",
        ] {
            assert_eq!(Target::parse(other), None, "{other}");
        }

        for other in [
            "/v2/models/a/b/infer",
            "/v2/models/a/versions/1/2/infer",
            "/v2/models/a/ready",
            "/infer",
        ] {
            assert_eq!(Target::parse(other), None, "{other}");
        }
    }
}

//! Inference with one response: the steps from the bytes of a request to an [`InferRequest`], and
//! from its response back to bytes, for every wire format.
//!
//! [`InferRequest`]: crate::model::InferRequest

use std::time::Instant;

use axum::body::{Body, Bytes};
use axum::http::header::{CONTENT_ENCODING, VARY};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::auth::Caller;
use super::context::{RequestContext, SERVER_TIMING, timing_header};
use super::extract::ModelPath;
use super::host_work::HostWork;
use super::http::compression::{self, ContentCoding, MIN_RESPONSE};
use super::http::request_memory::RequestMemory;
use super::http::{body, deadline};
use super::inference::{self, Answer, ResolvedRequest, attach_after_response};
use super::oip::request_json::DecodedRequest;
use super::oip::response_json::EncodedResponse;
use super::state::ApiState;
use crate::dataplane::{Inference, RequestRecorder, Timings};
use crate::model::{Deadline, InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::{Pacer, QuotaGuard};

/// The wire format of a request: a pure function from bytes to tensors.
pub(super) trait Decode: Clone + Send + 'static {
    /// The part of the request that the encoding of the response needs, such as the requested
    /// outputs.
    type Form: Send + Sync + 'static;

    /// Decodes the body of a request to the model with this metadata. Fails with a text for the
    /// caller.
    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, Self::Form), String>;
}

/// A wire format: pure functions between bytes and tensors.
pub(super) trait Codec: Decode {
    /// Encodes a response. `id` is that of the request. Fails with [`InferError::NotJson`] if the
    /// format cannot represent a value.
    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        form: &Self::Form,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError>;

    /// Sets the headers that describe the body of a response.
    fn set_headers(&self, headers: &mut HeaderMap, json_length: Option<usize>);

    /// Returns the response with an encoded body, which may be compressed.
    fn to_response(
        &self,
        encoded: EncodedResponse,
        coding: Option<ContentCoding>,
    ) -> Result<Response, InferError> {
        Ok(plain_response(self, encoded, coding))
    }
}

/// Returns a response with status 200 and an encoded body, which may be compressed.
pub(super) fn plain_response<C: Codec>(
    codec: &C,
    encoded: EncodedResponse,
    coding: Option<ContentCoding>,
) -> Response {
    let mut response = Body::from(encoded.body).into_response();
    let headers = response.headers_mut();
    codec.set_headers(headers, encoded.json_length);

    if let Some(coding) = coding {
        headers.insert(CONTENT_ENCODING, HeaderValue::from_static(coding.name()));
        headers.insert(VARY, HeaderValue::from_static("accept-encoding"));
    }

    response
}

/// Answers an inference request in the wire format that `codec` selects by its headers.
pub(super) async fn handle<C: Codec>(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    path: &ModelPath,
    request: Request<Body>,
    codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
) -> Response {
    handle_counted(state, context, caller, path, request, None, codec).await
}

/// Like [`handle`], for a request that the tenant's quota counts already if there is a guard.
pub(super) async fn handle_counted<C: Codec>(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    path: &ModelPath,
    request: Request<Body>,
    quota: Option<QuotaGuard>,
    codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
) -> Response {
    let answer = |resolved| infer_and_record(state, caller, resolved, request, codec);
    inference::respond_counted(state, context, caller, path, quota, answer).await
}

/// Answers an inference request that has been admitted and resolved, as [`handle`] does.
pub(super) async fn infer_and_record<C: Codec>(
    state: &ApiState,
    caller: &Caller,
    resolved: ResolvedRequest<'_>,
    request: Request<Body>,
    codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
) -> Answer {
    let mut recorder =
        RequestRecorder::new(resolved.admitted.servable(), resolved.context.received);
    let outcome = infer(state, caller, &resolved, request, codec, &mut recorder).await;

    match &outcome {
        Ok((_, _, timings)) => recorder.record_success(timings),
        Err(error) => recorder.record_failure(error),
    }

    resolved.log_outcome(&outcome);

    outcome.map(|(response, memory, _)| (response, Some(memory)))
}

async fn infer<C: Codec>(
    state: &ApiState,
    caller: &Caller,
    resolved: &ResolvedRequest<'_>,
    request: Request<Body>,
    codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
    recorder: &mut RequestRecorder,
) -> Result<(Response, RequestMemory, Timings), InferError> {
    let ResolvedRequest { context, tenant, admitted, .. } = resolved;
    let servable = admitted.servable();
    let mut memory = RequestMemory::new(tenant);

    let (head, body) = request.into_parts();
    let codec = codec(&head.headers)?;
    let options = WireOptions::from_headers(&head.headers)?;
    let body = body::read(body, servable.settings().limits.request, &mut memory).await?;

    let mut host_work = HostWork::new(&state.workers, servable);
    let (decoded, form) =
        decode(&codec, &options, servable, body, context.received, &mut host_work).await?;
    let DecodedRequest { request, timeout, .. } = decoded;

    recorder.set_rows(&request);
    memory.resize(request.size() as usize)?;

    let deadline = deadline::shorter(options.deadline, timeout);
    let id = request.id.clone();
    let caller_info = caller.caller_info(context.request_id.clone());
    context.connection.set_guest_call();
    let inference = admitted.infer(request, deadline, context.received, caller_info).await?;
    let Inference { response, timings, after_response } = inference;

    memory.resize(response.size() as usize)?;

    let encoding = Encoding { codec: codec.clone(), coding: options.response_coding, id, form };
    let (encoded, coding) = encoding.run(servable.clone(), response, &mut host_work).await?;
    memory.resize(encoded.body.capacity())?;

    let mut response = codec.to_response(encoded, coding)?;
    response.headers_mut().insert(SERVER_TIMING, timing_header(&timings));

    Ok((attach_after_response(response, after_response), memory, timings))
}

/// Options from the request headers that do not depend on the wire format.
struct WireOptions {
    request_coding: Option<ContentCoding>,
    response_coding: Option<ContentCoding>,
    deadline: Option<Deadline>,
}

impl WireOptions {
    fn from_headers(headers: &HeaderMap) -> Result<Self, InferError> {
        Ok(WireOptions {
            request_coding: compression::request_coding(headers)?,
            response_coding: compression::response_coding(headers),
            deadline: deadline::from_header(headers)?,
        })
    }
}

async fn decode<C: Codec>(
    codec: &C,
    options: &WireOptions,
    servable: &ServableHandle,
    body: Bytes,
    received: Instant,
    host_work: &mut HostWork,
) -> Result<(DecodedRequest, C::Form), InferError> {
    let limit = servable.settings().limits.request;
    let body = host_work.decompress_if_short(options.request_coding, body, limit)?;

    let length = body.work_length();
    let servable = servable.clone();
    let codec = codec.clone();

    let work = move |pacer: &Pacer| {
        let mut memory = RequestMemory::new(servable.factory().tenant());
        let body = body.into_plain(limit, &mut memory, pacer)?;
        codec.decode(servable.metadata(), &body, pacer).map_err(InferError::InvalidInput)
    };

    host_work.read(length, received, options.deadline, work).await
}

/// The needs of the encoding of a response besides the response.
struct Encoding<C: Codec> {
    codec: C,
    coding: Option<ContentCoding>,
    id: String,
    form: C::Form,
}

impl<C: Codec> Encoding<C> {
    async fn run(
        self,
        servable: ServableHandle,
        response: InferResponse,
        host_work: &mut HostWork,
    ) -> Result<(EncodedResponse, Option<ContentCoding>), InferError> {
        let Encoding { codec, coding, id, form } = self;
        let length = compression::work_bytes(coding, response.size() as usize);
        let work = move |pacer: &Pacer| {
            let encoded = codec.encode(&servable, &id, &response, &form, pacer)?;
            Ok(compress(coding, encoded, pacer))
        };

        host_work.write(length, work).await
    }
}

/// Compresses a response if the client accepts it and it is large enough. Returns the coding that
/// was used.
fn compress(
    coding: Option<ContentCoding>,
    encoded: EncodedResponse,
    pacer: &Pacer,
) -> (EncodedResponse, Option<ContentCoding>) {
    let Some(coding) = coding.filter(|_| encoded.body.len() >= MIN_RESPONSE) else {
        return (encoded, None);
    };

    match compression::compress_bytes(coding, &encoded.body, pacer) {
        Ok(body) => (EncodedResponse { body, ..encoded }, Some(coding)),
        Err(_) => (encoded, None),
    }
}

//! One request that is answered in parts, from its head to its last part, for every wire format.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes, HttpBody};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::{IntoResponse, Response};

use super::merge::MergedResponse;
use super::missing_outputs::add_missing_outputs;
use crate::api::auth::Caller;
use crate::api::context::{RequestContext, SERVER_TIMING, timing_header};
use crate::api::extract::ModelPath;
use crate::api::generated_text::TextFilter;
use crate::api::host_work::HostWork;
use crate::api::http::compression::{self, ContentCoding};
use crate::api::http::connection::Connection;
use crate::api::http::guarded_body::guard_bytes;
use crate::api::http::request_memory::RequestMemory;
use crate::api::http::response_compression::compress;
use crate::api::http::{body, deadline};
use crate::api::inference::{Answer, ResolvedRequest, attach_after_response};
use crate::api::oip::request_json::DecodedRequest;
use crate::api::state::ApiState;
use crate::api::unary::{Codec, Decode};
use crate::dataplane::{Admitted, RequestRecorder, ResponseStream, Timings};
use crate::model::{Deadline, InferError, InferResponse, RequestId};
use crate::servable::ServableHandle;
use crate::tenant::{Pacer, Tenant, Workers};

/// A request whose model call has started. It holds the servable and the resources of the call
/// until dropped.
pub(in crate::api) struct Generation<C: Decode> {
    codec: C,
    form: Arc<C::Form>,
    context: RequestContext,
    workers: Workers,
    tenant: Arc<Tenant>,
    path: ModelPath,
    admitted: Admitted,
    id: String,
    stream: ResponseStream,
    text_filter: Option<TextFilter>,
    is_stopped: bool,
    call_started: Instant,
    host_work: HostWork,
    /// `None` once the outcome has been recorded.
    recorder: Option<RequestRecorder>,
    memory: RequestMemory,
}

impl<C: Decode> Generation<C> {
    /// Reads a request and starts the model call. Logs the outcome if it fails.
    pub(in crate::api) async fn start(
        state: &ApiState,
        caller: &Caller,
        resolved: ResolvedRequest<'_>,
        request: Request<Body>,
        codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
    ) -> Result<Self, InferError> {
        let ResolvedRequest { context, tenant, path, admitted } = &resolved;
        let servable = admitted.servable();
        let mut memory = RequestMemory::new(tenant);
        let mut recorder = RequestRecorder::new(servable, context.received);
        let mut host_work = HostWork::new(&state.workers, servable);

        let received = context.received;
        let outcome = read(request, codec, servable, received, &mut host_work, &mut memory).await;

        let (header_deadline, codec, (decoded, form)) = match outcome {
            Ok(read) => read,
            Err(error) => {
                recorder.record_failure(&error);
                let outcome = Err(error);
                resolved.log_outcome(&outcome);
                return outcome;
            }
        };

        let DecodedRequest { request, timeout, mut text_filter, .. } = decoded;
        recorder.set_rows(&request);
        if let Some(filter) = &mut text_filter {
            filter.set_request(&request);
        }

        let id = request.id.clone();
        let deadline = deadline::shorter(header_deadline, timeout);
        let caller_info = caller.caller_info(context.request_id.clone());

        context.connection.set_guest_call();
        let stream = admitted.infer_stream(request, deadline, context.received, caller_info);

        Ok(Generation {
            codec,
            form: Arc::new(form),
            context: RequestContext::clone(context),
            workers: state.workers.clone(),
            tenant: Arc::clone(tenant),
            path: ModelPath::clone(path),
            admitted: admitted.clone(),
            id,
            stream,
            text_filter,
            is_stopped: false,
            call_started: Instant::now(),
            host_work,
            recorder: Some(recorder),
            memory,
        })
    }

    /// Maximum silence before a keep-alive comment is sent.
    pub(in crate::api) fn heartbeat(&self) -> Duration {
        self.admitted.servable().settings().streaming.heartbeat
    }

    /// Time at which the model call ends at the latest.
    pub(in crate::api) fn deadline(&self) -> Instant {
        self.stream.deadline()
    }

    /// The connection that carries the request.
    pub(in crate::api) fn connection(&self) -> Connection {
        self.context.connection.clone()
    }

    /// Waits for the next part of the answer; `None` after the last. An error is the last item.
    pub(in crate::api) async fn next(&mut self) -> Option<Result<InferResponse, InferError>> {
        loop {
            let part = match self.wait().await {
                Some(Err(error)) => return Some(Err(error)),
                Some(Ok(part)) => Some(part),
                None => None,
            };
            let is_end = part.is_none();

            match self.filter(part).await {
                Ok(None) if !is_end => {}
                filtered => return filtered.transpose(),
            }
        }
    }

    /// Waits for the next part of the model, for [`Generation::filter`]; see
    /// [`ResponseStream::next`].
    pub(in crate::api) async fn wait(&mut self) -> Option<Result<InferResponse, InferError>> {
        if self.is_stopped { None } else { self.stream.next().await }
    }

    /// Returns what a part of the model adds to the answer, `None` if nothing. A stop sequence ends
    /// the call. `None` as the part stands for the end, at which text may be left.
    pub(in crate::api) async fn filter(
        &mut self,
        part: Option<InferResponse>,
    ) -> Result<Option<InferResponse>, InferError> {
        let Some(mut filter) = self.text_filter.take() else { return Ok(part) };

        let bytes = part.as_ref().map_or(0, InferResponse::size) as usize;
        let work = move |_: &Pacer| {
            let filtered = match part {
                Some(part) => filter.pass(part)?,
                None => filter.finish()?,
            };
            Ok((filter, filtered))
        };
        let (filter, filtered) = self.host_work.write(bytes, work).await?;

        if filter.is_stopped() && !self.is_stopped {
            self.is_stopped = true;
            self.stream.stop();
        }
        self.text_filter = Some(filter);

        Ok(filtered)
    }

    /// True once a stop sequence has ended the answer.
    pub(in crate::api) fn is_stopped(&self) -> bool {
        self.is_stopped
    }

    /// Runs work on `bytes` bytes of the response; see [`HostWork::write`].
    pub(in crate::api) async fn work<T: Send + 'static>(
        &mut self,
        bytes: usize,
        work: impl FnOnce(&Pacer) -> Result<T, InferError> + Send + 'static,
    ) -> Result<T, InferError> {
        self.host_work.write(bytes, work).await
    }

    /// The version that answers.
    pub(in crate::api) fn servable(&self) -> &ServableHandle {
        self.admitted.servable()
    }

    /// The id of the HTTP request.
    pub(in crate::api) fn request_id(&self) -> &RequestId {
        &self.context.request_id
    }

    /// The id of the request.
    pub(in crate::api) fn id(&self) -> &str {
        &self.id
    }

    /// The part of the request that the encoding of the response depends on.
    pub(in crate::api) fn form(&self) -> &C::Form {
        &self.form
    }

    /// Answers with a whole body of JSON, and records the outcome.
    pub(in crate::api) async fn respond(
        mut self,
        written: Result<Bytes, InferError>,
        coding: Option<ContentCoding>,
    ) -> Answer {
        self.log_outcome(&written);

        let mut response = Body::from(written?).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(SERVER_TIMING, self.server_timing());

        let response = attach_after_response(response, self.stream.take_after_response());
        let response = self.compress(coding, response).await;
        self.resize_memory(response.body().size_hint().lower() as usize)?;

        Ok((response, Some(self.memory)))
    }

    /// Compresses a whole response if the client accepts it and it is large enough.
    async fn compress(&mut self, coding: Option<ContentCoding>, response: Response) -> Response {
        compress(&self.workers, Some(&self.tenant), coding, response).await
    }

    /// Sets the host memory of the response. Fails if the tenant's memory quota is used up.
    pub(in crate::api) fn resize_memory(&mut self, bytes: usize) -> Result<(), InferError> {
        Ok(self.memory.resize(bytes)?)
    }

    /// Makes bytes count against the memory quota until they have been sent. Fails like
    /// [`Generation::resize_memory`].
    pub(in crate::api) fn guard_bytes(&self, bytes: Bytes) -> Result<Bytes, InferError> {
        let mut memory = RequestMemory::new(&self.tenant);
        memory.resize(bytes.len())?;
        Ok(guard_bytes(memory, bytes))
    }

    /// Returns the `Server-Timing` value at this time.
    pub(in crate::api) fn server_timing(&self) -> HeaderValue {
        let timings = self.stream.timings();
        let others = timings.queue + timings.instance + timings.interceptors;
        let compute = self.call_started.elapsed().saturating_sub(others);

        timing_header(&Timings { compute, ..timings })
    }

    /// Records and logs the outcome. Must be called once.
    pub(in crate::api) fn log_outcome<T>(&mut self, outcome: &Result<T, InferError>) {
        if let Some(recorder) = self.recorder.take() {
            match outcome {
                Ok(_) => recorder.record_stream_success(&self.stream.timings()),
                Err(error) => recorder.record_failure(error),
            }
        }

        let resolved = ResolvedRequest {
            context: &self.context,
            tenant: &self.tenant,
            path: &self.path,
            admitted: self.admitted.clone(),
        };

        resolved.log_outcome(outcome);
    }
}

impl<C: Codec> Generation<C> {
    /// Sets the wire format of the following parts.
    pub(in crate::api) fn set_codec(&mut self, codec: C) {
        self.codec = codec;
    }

    /// Encodes a response part.
    pub(in crate::api) async fn write(&mut self, part: InferResponse) -> Result<Bytes, InferError> {
        self.write_response(part.size(), move |_| Ok(part)).await
    }

    /// Merges all parts and encodes the result.
    pub(super) async fn write_merged(
        &mut self,
        merged: MergedResponse,
    ) -> Result<Bytes, InferError> {
        let size = merged.size();
        let servable = self.admitted.servable().clone();
        let merge = move |pacer: &Pacer| {
            let response = merged.finish(pacer).map_err(InferError::BadOutput)?;
            Ok(add_missing_outputs(servable.metadata(), response))
        };

        self.write_response(size, merge).await
    }

    /// Encodes the response of a model that produced no part.
    pub(super) async fn write_empty(&mut self) -> Result<Bytes, InferError> {
        let empty =
            add_missing_outputs(self.admitted.servable().metadata(), InferResponse::default());
        self.write(empty).await
    }

    /// Creates and encodes a response of about `bytes` bytes.
    async fn write_response(
        &mut self,
        bytes: u64,
        make: impl FnOnce(&Pacer) -> Result<InferResponse, InferError> + Send + 'static,
    ) -> Result<Bytes, InferError> {
        let servable = self.admitted.servable().clone();
        let id = self.id.clone();
        let codec = self.codec.clone();
        let form = Arc::clone(&self.form);
        let work = move |pacer: &Pacer| {
            let encoded = codec.encode(&servable, &id, &make(pacer)?, &form, pacer)?;
            Ok(Bytes::from(encoded.body))
        };

        self.host_work.write(bytes as usize, work).await
    }
}

/// A decoded request with the deadline in its headers and its wire format.
type Decoded<C> = (Option<Deadline>, C, (DecodedRequest, <C as Decode>::Form));

/// Reads and decodes a request.
async fn read<C: Decode>(
    request: Request<Body>,
    codec: impl FnOnce(&HeaderMap) -> Result<C, InferError>,
    servable: &ServableHandle,
    received: Instant,
    host_work: &mut HostWork,
    memory: &mut RequestMemory,
) -> Result<Decoded<C>, InferError> {
    let (head, body) = request.into_parts();
    let codec = codec(&head.headers)?;

    let deadline = deadline::from_header(&head.headers)?;
    let coding = compression::request_coding(&head.headers)?;
    let limit = servable.settings().limits.request;
    let body = body::read(body, limit, memory).await?;

    let body = host_work.decompress_if_short(coding, body, limit)?;

    let length = body.work_length();
    let servable = servable.clone();
    let decoder = codec.clone();

    let work = move |pacer: &Pacer| {
        let mut memory = RequestMemory::new(servable.factory().tenant());
        let body = body.into_plain(limit, &mut memory, pacer)?;
        decoder.decode(servable.metadata(), &body, pacer).map_err(InferError::InvalidInput)
    };

    let decoded = host_work.read(length, received, deadline, work).await?;
    memory.resize(decoded.0.request.size() as usize)?;

    Ok((deadline, codec, decoded))
}

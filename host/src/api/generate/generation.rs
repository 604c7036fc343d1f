//! One generate request, from its head to its last response part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::Response;

use super::merge::MergedResponse;
use super::missing_outputs::add_missing_outputs;
use super::{request, response};
use crate::api::ApiState;
use crate::api::auth::Caller;
use crate::api::connection::Connection;
use crate::api::content_type;
use crate::api::guarded_body::guard_bytes;
use crate::api::infer::compression::{self, ContentCoding, MaybeCompressed};
use crate::api::infer::host_work::HostWork;
use crate::api::infer::request_json::DecodedRequest;
use crate::api::infer::{self, Target, body, deadline};
use crate::api::request_memory::RequestMemory;
use crate::api::response_compression::compress;
use crate::api::service::RequestContext;
use crate::dataplane::{RequestRecorder, ResponseStream, Timings};
use crate::model::{Deadline, InferError, InferResponse, Version};
use crate::servable::{AfterResponse, ServableHandle};
use crate::tenant::{Pacer, Tenant, Workers};

/// A request whose model call has started. It holds the servable and the resources of the call
/// until dropped.
pub(super) struct Generation {
    context: RequestContext,
    workers: Workers,
    tenant: Arc<Tenant>,
    target: Target,
    handle: ServableHandle,
    id: String,
    stream: ResponseStream,
    call_started: Instant,
    handling: HostWork,
    /// `None` once the outcome has been recorded.
    tally: Option<RequestRecorder>,
    memory: RequestMemory,
}

impl Generation {
    /// Reads a request and starts the model call.
    pub(super) async fn start(
        state: &ApiState,
        context: RequestContext,
        caller: &Caller,
        tenant: Arc<Tenant>,
        target: Target,
        handle: ServableHandle,
        request: Request<Body>,
    ) -> Result<Self, InferError> {
        let mut memory = RequestMemory::new(&tenant);
        let mut tally = RequestRecorder::new(&handle, context.received);
        let mut handling = HostWork::new(&state.workers, &handle);
        let (head, body) = request.into_parts();
        let received = context.received;
        let read = read(&head.headers, &handle, received, &mut handling, body, &mut memory).await;

        let (in_header, json) = match read {
            Ok(read) => read,
            Err(error) => {
                tally.record_failure(&error);
                return Err(error);
            }
        };

        let DecodedRequest { request, timeout, .. } = json;

        tally.set_rows(&request);

        let (deadline, id) = (deadline::shorter(in_header, timeout), request.id.clone());
        let asker = caller.caller_info(context.request_id.clone());
        let parts = state.dataplane.infer_stream(&handle, request, deadline, received, asker);
        let asked = Instant::now();
        let tally = Some(tally);
        let workers = state.workers.clone();

        Ok(Generation {
            context,
            workers,
            tenant,
            target,
            handle,
            id,
            stream: parts,
            call_started: asked,
            handling,
            tally,
            memory,
        })
    }

    /// The version that answers.
    pub(super) fn version(&self) -> Version {
        self.handle.id().version
    }

    /// Maximum silence before a keep-alive comment is sent.
    pub(super) fn heartbeat(&self) -> Duration {
        self.handle.settings().streaming.heartbeat
    }

    /// Time at which the model call ends at the latest.
    pub(super) fn deadline(&self) -> Instant {
        self.stream.deadline()
    }

    /// The connection that carries the request.
    pub(super) fn connection(&self) -> Connection {
        self.context.connection.clone()
    }

    /// Waits for the next response part; see [`ResponseStream::next`].
    pub(super) async fn next(&mut self) -> Option<Result<InferResponse, InferError>> {
        self.stream.next().await
    }

    /// Encodes a response part as JSON.
    pub(super) async fn write(&mut self, part: InferResponse) -> Result<Bytes, InferError> {
        self.write_response(part.size(), move |_| Ok(part)).await
    }

    /// Merges all parts and encodes the result as JSON.
    pub(super) async fn write_merged(
        &mut self,
        whole: MergedResponse,
    ) -> Result<Bytes, InferError> {
        let (handle, size) = (self.handle.clone(), whole.size());
        let join = move |pace: &Pacer| {
            Ok(add_missing_outputs(
                handle.metadata(),
                whole.finish(pace).map_err(InferError::BadOutput)?,
            ))
        };
        self.write_response(size, join).await
    }

    /// Encodes the response of a model that produced no part.
    pub(super) async fn write_empty(&mut self) -> Result<Bytes, InferError> {
        let none = add_missing_outputs(self.handle.metadata(), InferResponse::default());
        self.write(none).await
    }

    /// Creates and encodes a response of about `bytes` bytes.
    async fn write_response(
        &mut self,
        bytes: u64,
        make: impl FnOnce(&Pacer) -> Result<InferResponse, InferError> + Send + 'static,
    ) -> Result<Bytes, InferError> {
        let (handle, id) = (self.handle.clone(), self.id.clone());
        let work = move |pace: &Pacer| {
            response::write(handle.id(), &id, &make(pace)?, pace).map(Bytes::from)
        };
        self.handling.write(bytes as usize, work).await
    }

    /// Compresses a whole response if the client accepts it and it is large enough.
    pub(super) async fn compress(
        &mut self,
        coding: Option<ContentCoding>,
        response: Response,
    ) -> Response {
        compress(&self.workers, Some(&self.tenant), coding, response).await
    }

    /// Sets the host memory of the response. Fails if the tenant's memory quota is used up.
    pub(super) fn resize_memory(&mut self, bytes: usize) -> Result<(), InferError> {
        Ok(self.memory.resize(bytes)?)
    }

    /// Makes bytes count against the memory quota until they have been sent. Fails like
    /// [`Generation::resize_memory`].
    pub(super) fn guard_bytes(&self, bytes: Bytes) -> Result<Bytes, InferError> {
        let mut memory = RequestMemory::new(&self.tenant);
        memory.resize(bytes.len())?;
        Ok(guard_bytes(memory, bytes))
    }

    /// Returns the request's memory, for the response to hold.
    pub(super) fn into_memory(self) -> RequestMemory {
        self.memory
    }

    /// Returns the work that starts after the response; see
    /// [`ResponseStream::take_after_response`].
    pub(super) fn take_after_response(&mut self) -> Option<AfterResponse> {
        self.stream.take_after_response()
    }

    /// Returns the `Server-Timing` value at this time.
    pub(super) fn server_timing(&self) -> HeaderValue {
        let timings = self.stream.timings();
        let others = timings.queue + timings.instance + timings.interceptors;
        infer::timing_header(&Timings {
            compute: self.call_started.elapsed().saturating_sub(others),
            ..timings
        })
    }

    /// Records and logs the outcome. Must be called once.
    pub(super) fn log_outcome<T>(&mut self, outcome: &Result<T, InferError>) {
        if let Some(tally) = self.tally.take() {
            match outcome {
                Ok(_) => tally.record_stream_success(&self.stream.timings()),
                Err(error) => tally.record_failure(error),
            }
        }
        infer::log_outcome(
            &self.context,
            &self.tenant,
            &self.target,
            Some(self.version()),
            outcome,
        );
    }
}

async fn read(
    headers: &HeaderMap,
    handle: &ServableHandle,
    received: Instant,
    handling: &mut HostWork,
    body: Body,
    memory: &mut RequestMemory,
) -> Result<(Option<Deadline>, DecodedRequest), InferError> {
    content_type::JSON_ONLY.check(headers)?;

    let deadline = deadline::from_header(headers)?;
    let (coding, limit) = (compression::request_coding(headers)?, handle.settings().limits.request);
    let body = body::read(body, limit, memory).await?;
    let now = handling.inline_limit();
    let packed = handling.run_inline(|| MaybeCompressed::new(coding, body, limit, now))?;
    let (length, handle) = (packed.work_length(), handle.clone());

    let work = move |pace: &Pacer| {
        let mut memory = RequestMemory::new(handle.factory().tenant());
        let body = packed.into_plain(limit, &mut memory, pace)?;
        request::read(handle.metadata(), &body, pace).map_err(InferError::InvalidInput)
    };

    let read = handling.read(length, received, deadline, work).await?;

    memory.resize(read.request.size() as usize)?;

    Ok((deadline, read))
}

//! One generate request, from its head to its last response part.

use std::sync::Arc;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request};
use axum::response::Response;

use super::complete::complete;
use super::gather::Whole;
use super::{request, response};
use crate::api::ApiState;
use crate::api::caller::Caller;
use crate::api::compressed::compress;
use crate::api::connection::Connection;
use crate::api::content_type;
use crate::api::edge::Context;
use crate::api::infer::compression::{self, Coding, Packed};
use crate::api::infer::handling::Handling;
use crate::api::infer::request_json::RequestJson;
use crate::api::infer::{self, Target, body, deadline};
use crate::api::kept::keep_bytes;
use crate::api::memory::Memory;
use crate::dataplane::{Parts, Tally, Timings};
use crate::model::{Deadline, InferError, InferResponse, Version};
use crate::servable::{Afterwards, ServableHandle};
use crate::tenant::{Pace, Tenant, Workers};

/// A request whose model call has started. It holds the servable and the resources of the call
/// until dropped.
pub(super) struct Answering {
    context: Context,
    workers: Workers,
    tenant: Arc<Tenant>,
    target: Target,
    handle: ServableHandle,
    id: String,
    parts: Parts,
    asked: Instant,
    handling: Handling,
    /// `None` once the outcome has been recorded.
    tally: Option<Tally>,
    memory: Memory,
}

impl Answering {
    /// Reads a request and starts the model call.
    pub(super) async fn begin(
        state: &ApiState,
        context: Context,
        caller: &Caller,
        tenant: Arc<Tenant>,
        target: Target,
        handle: ServableHandle,
        request: Request<Body>,
    ) -> Result<Self, InferError> {
        let mut memory = Memory::of(&tenant);
        let mut tally = Tally::begin(&handle, context.received);
        let mut handling = Handling::of(&state.workers, &handle);
        let (head, body) = request.into_parts();
        let received = context.received;
        let read = read(&head.headers, &handle, received, &mut handling, body, &mut memory).await;

        let (in_header, json) = match read {
            Ok(read) => read,
            Err(error) => {
                tally.failed(&error);
                return Err(error);
            }
        };

        let RequestJson { request, timeout, .. } = json;

        tally.note_rows(&request);

        let (deadline, id) = (deadline::shortest(in_header, timeout), request.id.clone());
        let asker = caller.asker(context.request_id.clone());
        let parts = state.dataplane.infer_stream(&handle, request, deadline, received, asker);
        let asked = Instant::now();
        let tally = Some(tally);
        let workers = state.workers.clone();

        Ok(Answering {
            context,
            workers,
            tenant,
            target,
            handle,
            id,
            parts,
            asked,
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
        self.parts.deadline()
    }

    /// The connection that carries the request.
    pub(super) fn connection(&self) -> Connection {
        self.context.connection.clone()
    }

    /// Waits for the next response part; see [`Parts::next`].
    pub(super) async fn next(&mut self) -> Option<Result<InferResponse, InferError>> {
        self.parts.next().await
    }

    /// Encodes a response part as JSON.
    pub(super) async fn write(&mut self, part: InferResponse) -> Result<Bytes, InferError> {
        self.write_as(part.size(), move |_| Ok(part)).await
    }

    /// Merges all parts and encodes the result as JSON.
    pub(super) async fn write_whole(&mut self, whole: Whole) -> Result<Bytes, InferError> {
        let (handle, size) = (self.handle.clone(), whole.size());
        let join = move |pace: &Pace| {
            Ok(complete(handle.metadata(), whole.join(pace).map_err(InferError::BadOutput)?))
        };
        self.write_as(size, join).await
    }

    /// Encodes the response of a model that produced no part.
    pub(super) async fn write_none(&mut self) -> Result<Bytes, InferError> {
        let none = complete(self.handle.metadata(), InferResponse::default());
        self.write(none).await
    }

    /// Creates and encodes a response of about `bytes` bytes.
    async fn write_as(
        &mut self,
        bytes: u64,
        make: impl FnOnce(&Pace) -> Result<InferResponse, InferError> + Send + 'static,
    ) -> Result<Bytes, InferError> {
        let (handle, id) = (self.handle.clone(), self.id.clone());
        let work = move |pace: &Pace| {
            response::write(handle.id(), &id, &make(pace)?, pace).map(Bytes::from)
        };
        self.handling.write(bytes as usize, work).await
    }

    /// Compresses a whole response if the client accepts it and it is large enough.
    pub(super) async fn compress(
        &mut self,
        coding: Option<Coding>,
        response: Response,
    ) -> Response {
        compress(&self.workers, Some(&self.tenant), coding, response).await
    }

    /// Sets the host memory of the response. Fails if the tenant's memory quota is used up.
    pub(super) fn hold(&mut self, bytes: usize) -> Result<(), InferError> {
        Ok(self.memory.hold(bytes)?)
    }

    /// Makes bytes count against the memory quota until they have been sent. Fails like
    /// [`Answering::hold`].
    pub(super) fn keep(&self, bytes: Bytes) -> Result<Bytes, InferError> {
        let mut memory = Memory::of(&self.tenant);
        memory.hold(bytes.len())?;
        Ok(keep_bytes(memory, bytes))
    }

    /// Returns the request's memory, for the response to hold.
    pub(super) fn into_memory(self) -> Memory {
        self.memory
    }

    /// Returns the work that starts after the response; see [`Parts::take_afterwards`].
    pub(super) fn take_afterwards(&mut self) -> Option<Afterwards> {
        self.parts.take_afterwards()
    }

    /// Returns the `Server-Timing` value at this time.
    pub(super) fn server_timing(&self) -> HeaderValue {
        let timings = self.parts.timings();
        let others = timings.queue + timings.instance + timings.interceptors;
        infer::show(&Timings { compute: self.asked.elapsed().saturating_sub(others), ..timings })
    }

    /// Records and logs the outcome. Must be called once.
    pub(super) fn tell<T>(&mut self, outcome: &Result<T, InferError>) {
        if let Some(tally) = self.tally.take() {
            match outcome {
                Ok(_) => tally.answered_in_parts(&self.parts.timings()),
                Err(error) => tally.failed(error),
            }
        }
        infer::tell(&self.context, &self.tenant, &self.target, Some(self.version()), outcome);
    }
}

async fn read(
    headers: &HeaderMap,
    handle: &ServableHandle,
    received: Instant,
    handling: &mut Handling,
    body: Body,
    memory: &mut Memory,
) -> Result<(Option<Deadline>, RequestJson), InferError> {
    content_type::ONLY_JSON.check(headers)?;

    let deadline = deadline::from_header(headers)?;
    let (coding, limit) = (compression::of_request(headers)?, handle.settings().limits.request);
    let body = body::read(body, limit, memory).await?;
    let now = handling.bytes_here();
    let packed = handling.count(|| Packed::new(coding, body, limit, now))?;
    let (length, handle) = (packed.length(), handle.clone());

    let work = move |pace: &Pace| {
        let mut memory = Memory::of(handle.maker().tenant());
        let body = packed.unpack(limit, &mut memory, pace)?;
        request::read(handle.metadata(), &body, pace).map_err(InferError::InvalidInput)
    };

    let read = handling.read(length, received, deadline, work).await?;

    memory.hold(read.request.size() as usize)?;

    Ok((deadline, read))
}

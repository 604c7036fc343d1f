//! `ModelStreamInfer`: requests of one stream are answered one after the other, each by any number
//! of responses.
//!
//! An error ends its request and not the stream. Between two requests the stream holds no quota,
//! and its connection counts as idle.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request, StatusCode};
use axum::response::Response;
use futures_util::stream::unfold;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::Status;

use super::frames::{self, MessageReader};
use super::head::{self, CallHead};
use super::infer::{ProtobufCodec, authorize, ok_trailers, trailers};
use super::response::{self, Envelope};
use super::{request, status, target};
use crate::api::context::RequestContext;
use crate::api::error::ApiError;
use crate::api::http::body::within_receive_timeout;
use crate::api::http::request_memory::RequestMemory;
use crate::api::inference::{self, ResolvedRequest};
use crate::api::routes::generate::generation::Generation;
use crate::api::state::ApiState;
use crate::dataplane::Admission;
use crate::engine::Interface;
use crate::model::{Deadline, DeadlineSource, InferError, InferResponse};

/// The metadata by which a client asks for statuses instead of error messages.
const STRICT: &str = "triton_grpc_error";

/// The pause between two looks at whether the server stops.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers `ModelStreamInfer`.
pub(super) fn handle(
    state: &ApiState,
    context: &RequestContext,
    request: Request<Body>,
) -> Response {
    let (parts, body) = request.into_parts();
    let opened = authorize(state, context, &parts.headers)
        .and_then(|_| CallHead::read(parts.headers.clone()));

    let call = match opened {
        Ok(call) => call,
        Err(error) => return status::failed(&error),
    };

    let stream = InferStream {
        state: state.clone(),
        context: context.clone(),
        strict: parts.headers.get(STRICT).is_some_and(|value| value == "true"),
        metadata: parts.headers,
        call,
        reader: MessageReader::new(body),
        answering: None,
        ready: VecDeque::new(),
        ended: false,
    };

    let frames = unfold(stream, async |mut stream: InferStream| {
        stream.next().await.map(|frame| (Ok::<_, axum::Error>(frame), stream))
    });
    let mut response = Response::new(Body::new(StreamBody::new(frames)));
    head::set_headers(response.headers_mut());

    response
}

/// A stream of requests and their responses.
struct InferStream {
    state: ApiState,
    context: RequestContext,
    metadata: HeaderMap,
    call: CallHead,
    /// True if an error ends the stream with a status.
    strict: bool,
    reader: MessageReader,
    /// The request that is being answered.
    answering: Option<Answering>,
    /// Frames that are sent next.
    ready: VecDeque<Frame<Bytes>>,
    /// True once the trailers are sent.
    ended: bool,
}

/// A request that is being answered.
struct Answering {
    generation: Generation<ProtobufCodec>,
    /// The model answers in parts, so the last part is known only after it.
    in_parts: bool,
    marks_last: bool,
    _admission: Admission,
}

/// The outcome of a step.
enum Step {
    /// A response of the present request.
    Message(Bytes),
    /// The present request has its last response.
    Answered(Option<Bytes>),
}

/// The failure of one request.
struct Failure {
    id: String,
    error: ApiError,
}

impl InferStream {
    /// Returns the next frame. `None` after the trailers.
    async fn next(&mut self) -> Option<Frame<Bytes>> {
        loop {
            if let Some(frame) = self.ready.pop_front() {
                return Some(frame);
            }
            if self.ended {
                return None;
            }

            let end = self.end();
            let step = self.step();
            let stepped = match end {
                Some(end) => tokio::time::timeout_at(end.into(), step).await,
                None => Ok(step.await),
            };

            match stepped {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => self.finish(ok_trailers()),
                Ok(Err(error)) => self.finish(trailers(&status::status(&error))),
                Err(_late) => self.finish(trailers(&self.late())),
            }
        }
    }

    /// Reads a request, or adds frames of its answer. Returns false at the end of the requests.
    /// Fails with an error that ends the stream.
    async fn step(&mut self) -> Result<bool, ApiError> {
        let outcome = match &mut self.answering {
            Some(answering) => answering.step().await,
            None => match self.receive().await? {
                Some(Ok(answering)) => {
                    self.answering = Some(answering);
                    return Ok(true);
                }
                Some(Err(failure)) => Err(failure),
                None => return Ok(false),
            },
        };

        match outcome {
            Ok(Step::Message(bytes)) => self.ready.push_back(Frame::data(bytes)),
            Ok(Step::Answered(bytes)) => {
                self.ready.extend(bytes.map(Frame::data));
                self.answering = None;
            }
            Err(Failure { error, .. }) if self.strict || self.is_over(&error) => return Err(error),
            Err(Failure { id, error }) => {
                self.answering = None;
                let message = response::encode_error(&id, status::text(&error));
                self.ready.push_back(Frame::data(frames::whole(message, false)?));
            }
        }

        Ok(true)
    }

    /// Waits for a request and starts to answer it. Returns `None` after the last one. Fails with
    /// an error that leaves no beginning of another request.
    async fn receive(&mut self) -> Result<Option<Result<Answering, Failure>>, ApiError> {
        let Some(prefix) = self.next_prefix().await? else { return Ok(None) };
        let received = Instant::now();
        // A key that has been taken away ends the stream.
        let caller = authorize(&self.state, &self.context, &self.metadata)?;
        let tenant = caller.tenant()?;
        let coding = self.call.coding(prefix)?;

        let mut memory = RequestMemory::new(tenant);
        let reading = async {
            let path = target::read(&mut self.reader, prefix, coding).await?;
            // Without a model there is no limit, and no use for the rest.
            let limit = self
                .state
                .dataplane
                .find(tenant.name(), &path.model, path.version.as_deref())
                .map_or(MAX_SKIPPED, |servable| servable.settings().limits.request);
            if u64::from(prefix.length) > limit {
                return Err(InferError::RequestTooLarge { limit });
            }

            let message = self.reader.message(prefix.length, &mut memory).await?;
            Ok((path, message))
        };
        let (path, message) = within_receive_timeout(reading).await?;
        drop(memory);

        let id = if coding.is_none() { request::id_of(&message) } else { String::new() };
        let mut request = Request::new(Body::from(message));
        let left = self.end().map(|end| end.saturating_duration_since(received));
        *request.headers_mut() = self.call.clone().into_headers(coding, left)?;

        let context = RequestContext { received, ..self.context.clone() };
        let failure = |error: InferError| {
            let error = ApiError::from(error);
            let (dataplane, name) = (&self.state.dataplane, tenant.name());
            let version = path.version.as_deref();
            let error = error.with_model_hints(dataplane, name, &path.model, version);
            Failure { id: id.clone(), error }
        };

        let (admission, admitted) =
            match inference::admit(&self.state, &context, tenant, &path, None) {
                Ok(admitted) => admitted,
                Err(error) => return Ok(Some(Err(failure(error)))),
            };

        let in_parts = admitted.servable().template().has(Interface::Streaming);
        let resolved = ResolvedRequest { context: &context, tenant, path: &path, admitted };
        let codec = |_: &HeaderMap| Ok(ProtobufCodec { envelope: Envelope::Stream { last: None } });
        let started = Generation::start(&self.state, &caller, resolved, request, codec).await;

        Ok(Some(match started {
            Ok(generation) => Ok(Answering::new(generation, in_parts, admission)),
            Err(error) => Err(failure(error)),
        }))
    }

    /// Waits for the beginning of a request. Returns `None` at the end of the stream, and when the
    /// server stops.
    async fn next_prefix(&mut self) -> Result<Option<frames::Prefix>, ApiError> {
        let _idle = self.context.connection.start_waiting();

        loop {
            match tokio::time::timeout(PAUSE, self.reader.next()).await {
                Ok(prefix) => return Ok(prefix?),
                Err(_pause) if self.state.dataplane.is_stopping() => {
                    return Err(InferError::Overloaded.into());
                }
                Err(_pause) => {}
            }
        }
    }

    /// The time at which the call ends, if its client has set one.
    fn end(&self) -> Option<Instant> {
        self.context.received.checked_add(self.call.timeout?)
    }

    /// True if a request failed because the time of the whole call is over. The request's deadline
    /// is the same time in whole milliseconds, so either may be noticed first.
    fn is_over(&self, error: &ApiError) -> bool {
        let soon = Instant::now() + Duration::from_millis(1);
        error.status == StatusCode::GATEWAY_TIMEOUT && self.end().is_some_and(|end| end <= soon)
    }

    fn late(&self) -> Status {
        let allowed = self.call.timeout.unwrap_or_default();
        let deadline = Deadline { allowed, source: DeadlineSource::Header };
        status::status(&InferError::DeadlineExceeded(deadline).into())
    }

    fn finish(&mut self, trailers: HeaderMap) {
        self.ended = true;
        self.answering = None;
        self.ready.push_back(Frame::trailers(trailers));
    }
}

/// The longest request to a model that does not exist, which is read for the sake of the next one.
const MAX_SKIPPED: u64 = 1 << 20;

impl Answering {
    fn new(
        mut generation: Generation<ProtobufCodec>,
        in_parts: bool,
        admission: Admission,
    ) -> Self {
        let marks_last = generation.form().marks_last;
        let last = marks_last.then_some(!in_parts);
        generation.set_codec(ProtobufCodec { envelope: Envelope::Stream { last } });

        Answering { generation, in_parts, marks_last, _admission: admission }
    }

    /// Waits for the next part of the answer.
    async fn step(&mut self) -> Result<Step, Failure> {
        let part = match self.generation.next().await {
            Some(Ok(part)) => self.write(part).await,
            Some(Err(error)) => Err(error),
            None => return Ok(self.last()),
        };

        part.map(Step::Message).map_err(|error| {
            let outcome: Result<(), _> = Err(error);
            self.generation.log_outcome(&outcome);

            let name = self.generation.servable().id().clone();
            let version = name.version.to_string();
            let error = match outcome {
                Err(error) => ApiError::from(error),
                Ok(()) => ApiError::from(InferError::Overloaded),
            };
            let error = error.with_model(name.name.as_str(), Some(&version));
            Failure { id: self.generation.id().to_owned(), error }
        })
    }

    async fn write(&mut self, part: InferResponse) -> Result<Bytes, InferError> {
        let message = self.generation.write(part).await?;
        let framed = frames::whole(message.into(), false)?;
        self.generation.guard_bytes(framed)
    }

    /// Ends the answer. Returns its last message, if another than its parts is wanted.
    fn last(&mut self) -> Step {
        self.generation.log_outcome(&Ok(()));

        let mark = (self.marks_last && self.in_parts).then(|| {
            let model = self.generation.servable().id();
            frames::whole(response::encode_last(model, self.generation.id()), false)
        });

        Step::Answered(mark.and_then(Result::ok))
    }
}

//! The body of a streamed response: server-sent events.
//!
//! Each part becomes one or more events, `data: {…}` and an empty line. During silence a comment
//! line keeps the connection alive; clients ignore it. An error after the first event is the last
//! one.

use std::convert::Infallible;
use std::future::Future;
use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderName, HeaderValue};
use axum::response::{IntoResponse, Response};
use futures_util::Stream;
use futures_util::stream::unfold;

use super::generation::Generation;
use crate::api::context::SERVER_TIMING;
use crate::api::error::ApiError;
use crate::api::http::connection::HangUpTimer;
use crate::api::unary::Decode;
use crate::model::{InferError, InferResponse};

/// Time between a response's deadline and the end of its connection. Without it, a client that does
/// not read would keep the connection and the response forever.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The events of one response in a wire format.
pub(in crate::api) trait EventFormat: Sized + Send + 'static {
    type Request: Decode;

    /// Returns the events of a part; empty for none.
    fn part(
        &mut self,
        generation: &mut Generation<Self::Request>,
        part: InferResponse,
    ) -> impl Future<Output = Result<Bytes, InferError>> + Send;

    /// Returns the events after the last part; empty for none.
    fn end(
        &mut self,
        generation: &mut Generation<Self::Request>,
    ) -> impl Future<Output = Result<Bytes, InferError>> + Send;

    /// Returns the event of an error.
    fn error(&self, error: &ApiError) -> Bytes;
}

/// The events of one response.
pub(in crate::api) struct EventStream<F: EventFormat> {
    /// `None` after the last event.
    generation: Option<Generation<F::Request>>,
    format: F,
    /// The first events, until they are sent.
    first: Option<Bytes>,
    server_timing: HeaderValue,
    _hang_up: HangUpTimer,
}

/// The next item of a stream.
enum Step {
    Silence,
    Events(Bytes),
    /// The last events.
    End(Bytes),
}

impl<F: EventFormat> EventStream<F> {
    /// Waits for the first event, at most for the heartbeat interval. Fails if the model fails
    /// first.
    pub(in crate::api) async fn start(
        mut generation: Generation<F::Request>,
        mut format: F,
    ) -> Result<Self, InferError> {
        let hang_up = generation.connection().hang_up_at(generation.deadline() + FLUSH_TIMEOUT);

        let (first, is_end) = match step(&mut generation, &mut format).await {
            Ok(Step::Silence) => (KEEP_ALIVE, false),
            Ok(Step::Events(events)) => (events, false),
            Ok(Step::End(events)) => (events, true),
            Err(error) => {
                let outcome = Err(error);
                generation.log_outcome(&outcome);
                return outcome;
            }
        };

        let mut events = EventStream {
            server_timing: generation.server_timing(),
            generation: Some(generation),
            format,
            first: Some(first),
            _hang_up: hang_up,
        };
        if is_end {
            events.end(Ok(()));
        }

        Ok(events)
    }

    /// Returns the response with the events. It never fails: errors are events.
    pub(in crate::api) fn into_response(self) -> Response {
        // Disables response buffering in nginx.
        const UNBUFFERED: (HeaderName, HeaderValue) =
            (HeaderName::from_static("x-accel-buffering"), HeaderValue::from_static("no"));
        const EVENTS: HeaderValue = HeaderValue::from_static("text/event-stream; charset=utf-8");

        let timing = self.server_timing.clone();
        let mut response = Body::from_stream(self.into_stream()).into_response();

        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, EVENTS);
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-cache"));
        headers.extend([UNBUFFERED, (SERVER_TIMING, timing)]);

        response
    }

    fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|event| (Ok(event), events)))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }

        let generation = self.generation.as_mut()?;

        match step(generation, &mut self.format).await {
            Ok(Step::Silence) => Some(KEEP_ALIVE),
            Ok(Step::Events(events)) => Some(events),
            Ok(Step::End(events)) => {
                self.end(Ok(()));
                Some(events).filter(|events| !events.is_empty())
            }
            Err(error) => self.end(Err(error)),
        }
    }

    /// Records the outcome and releases everything the response held. Returns the error event, if
    /// any.
    fn end(&mut self, outcome: Result<(), InferError>) -> Option<Bytes> {
        let mut generation = self.generation.take()?;
        generation.log_outcome(&outcome);

        let error = ApiError::from(outcome.err()?);
        Some(self.format.error(&error))
    }
}

/// Waits for the next events, at most for the heartbeat interval. Parts without events do not
/// prolong it.
async fn step<F: EventFormat>(
    generation: &mut Generation<F::Request>,
    format: &mut F,
) -> Result<Step, InferError> {
    let silence = Instant::now() + generation.heartbeat();

    loop {
        let part = match tokio::time::timeout_at(silence.into(), generation.wait()).await {
            Err(_silence) => return Ok(Step::Silence),
            Ok(part) => part.transpose()?,
        };
        let is_end = part.is_none();

        let mut events = match generation.filter(part).await? {
            Some(part) => format.part(generation, part).await?,
            None => Bytes::new(),
        };

        if is_end {
            let last = format.end(generation).await?;
            events = [events, last].concat().into();
            return Ok(Step::End(generation.guard_bytes(events)?));
        }

        if !events.is_empty() {
            return Ok(Step::Events(generation.guard_bytes(events)?));
        }
    }
}

/// Builds an event. JSON contains no line break, so one `data` line is enough.
pub(in crate::api) fn to_event(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

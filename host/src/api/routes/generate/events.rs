//! The body of a streamed response: server-sent events.
//!
//! Each part is one event, `data: {…}` and an empty line. During silence a comment line keeps the
//! connection alive; clients ignore it. An error after the first part is the last event,
//! `data: {"error": …, "code": …}`, as Triton's clients expect.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use futures_util::Stream;
use futures_util::stream::unfold;

use super::Generation;
use crate::api::error::ApiError;
use crate::api::http::connection::HangUpTimer;
use crate::model::InferError;

/// Time between a response's deadline and the end of its connection. Without it, a client that does
/// not read would keep the connection and the response forever.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

const KEEP_ALIVE: Bytes = Bytes::from_static(b":\n\n");

/// The events of one response.
pub(super) struct EventStream {
    /// `None` after the last event.
    generation: Option<Generation>,
    /// The first event, until it is sent.
    first: Option<Bytes>,
    /// True if there was a response part.
    has_parts: bool,
    _hang_up: HangUpTimer,
}

impl EventStream {
    /// Waits for the first part, at most for the heartbeat interval. Fails if the model fails
    /// first.
    pub(super) async fn start(mut generation: Generation) -> Result<Self, InferError> {
        let hang_up = generation.connection().hang_up_at(generation.deadline() + FLUSH_TIMEOUT);
        let (first, has_parts) = match first_event(&mut generation).await {
            Ok(first) => first,
            Err(error) => {
                let outcome = Err(error);
                generation.log_outcome(&outcome);
                return outcome;
            }
        };

        Ok(EventStream {
            generation: Some(generation),
            first: Some(first),
            has_parts,
            _hang_up: hang_up,
        })
    }

    /// Returns the `Server-Timing` value at this time.
    pub(super) fn server_timing(&self) -> HeaderValue {
        self.generation.as_ref().map_or(HeaderValue::from_static(""), Generation::server_timing)
    }

    /// Returns the events as a stream. It never fails: errors are events.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|event| (Ok(event), events)))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }

        let generation = self.generation.as_mut()?;

        let part = match tokio::time::timeout(generation.heartbeat(), generation.next()).await {
            Err(_silence) => return Some(KEEP_ALIVE),
            Ok(None) if self.has_parts => return self.end(Ok(())),
            Ok(part) => part,
        };

        self.has_parts = true;

        let written = match part {
            Some(Ok(part)) => generation.write(part).await,
            Some(Err(error)) => Err(error),
            None => generation.write_empty().await,
        };

        let written = written.and_then(|json| generation.guard_bytes(to_event(&json)));

        written.map_or_else(|error| self.end(Err(error)), Some)
    }

    /// Records the outcome and releases everything the response held. Returns the error event, if
    /// any.
    fn end(&mut self, outcome: Result<(), InferError>) -> Option<Bytes> {
        let mut generation = self.generation.take()?;
        generation.log_outcome(&outcome);

        let error = ApiError::from(outcome.err()?);
        Some(to_event(&error.to_json()))
    }
}

/// Returns the first event, and true if it contains a part: the first part, a comment after a
/// silent heartbeat interval, or the placeholder of a response without parts.
async fn first_event(generation: &mut Generation) -> Result<(Bytes, bool), InferError> {
    let json = match tokio::time::timeout(generation.heartbeat(), generation.next()).await {
        Err(_silence) => return Ok((KEEP_ALIVE, false)),
        Ok(Some(part)) => generation.write(part?).await?,
        Ok(None) => generation.write_empty().await?,
    };
    Ok((generation.guard_bytes(to_event(&json))?, true))
}

/// Builds an event. JSON contains no line break, so one `data` line is enough.
fn to_event(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

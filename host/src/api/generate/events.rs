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

use super::answering::Answering;
use crate::api::connection::HangUp;
use crate::api::error::ApiError;
use crate::model::InferError;

/// Time between a response's deadline and the end of its connection. Without it, a client that does
/// not read would keep the connection and the response forever.
const LAST_BYTES: Duration = Duration::from_secs(5);

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The events of one response.
pub(super) struct Events {
    /// `None` after the last event.
    answering: Option<Answering>,
    /// The first event, until it is sent.
    first: Option<Bytes>,
    /// True if there was a response part.
    any: bool,
    _hang_up: HangUp,
}

impl Events {
    /// Waits for the first part, at most for the heartbeat interval. Fails if the model fails
    /// first.
    pub(super) async fn begin(mut answering: Answering) -> Result<Self, InferError> {
        let hang_up = answering.connection().hang_up_at(answering.deadline() + LAST_BYTES);
        let (first, any) = match first(&mut answering).await {
            Ok(first) => first,
            Err(error) => {
                let outcome = Err(error);
                answering.tell(&outcome);
                return outcome;
            }
        };

        Ok(Events { answering: Some(answering), first: Some(first), any, _hang_up: hang_up })
    }

    /// Returns the `Server-Timing` value at this time.
    pub(super) fn server_timing(&self) -> HeaderValue {
        self.answering.as_ref().map_or(HeaderValue::from_static(""), Answering::server_timing)
    }

    /// Returns the events as a stream. It never fails: errors are events.
    pub(super) fn into_stream(self) -> impl Stream<Item = Result<Bytes, Infallible>> {
        unfold(self, async |mut events| events.next().await.map(|event| (Ok(event), events)))
    }

    async fn next(&mut self) -> Option<Bytes> {
        if let Some(first) = self.first.take() {
            return Some(first);
        }

        let answering = self.answering.as_mut()?;

        let part = match tokio::time::timeout(answering.heartbeat(), answering.next()).await {
            Err(_silence) => return Some(COMMENT),
            Ok(None) if self.any => return self.end(Ok(())),
            Ok(part) => part,
        };

        self.any = true;

        let written = match part {
            Some(Ok(part)) => answering.write(part).await,
            Some(Err(error)) => Err(error),
            None => answering.write_none().await,
        };

        let written = written.and_then(|json| answering.keep(framed(&json)));

        written.map_or_else(|error| self.end(Err(error)), Some)
    }

    /// Records the outcome and releases everything the response held. Returns the error event, if
    /// any.
    fn end(&mut self, outcome: Result<(), InferError>) -> Option<Bytes> {
        let mut answering = self.answering.take()?;
        answering.tell(&outcome);

        let error = ApiError::from(outcome.err()?);
        Some(framed(&error.to_json()))
    }
}

/// Returns the first event, and true if it contains a part: the first part, a comment after a
/// silent heartbeat interval, or the placeholder of a response without parts.
async fn first(answering: &mut Answering) -> Result<(Bytes, bool), InferError> {
    let json = match tokio::time::timeout(answering.heartbeat(), answering.next()).await {
        Err(_silence) => return Ok((COMMENT, false)),
        Ok(Some(part)) => answering.write(part?).await?,
        Ok(None) => answering.write_none().await?,
    };
    Ok((answering.keep(framed(&json))?, true))
}

/// Builds an event. JSON contains no line break, so one `data` line is enough.
fn framed(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

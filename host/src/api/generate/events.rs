//! The body of a streamed answer: server-sent events.
//!
//! Each part is one event, `data: {…}` and an empty line; where nothing has come for a while there is a comment
//! line, which clients pass over. An error after the first part is an event too, `data: {"error": …, "code": …}`,
//! and the last: Triton's clients look for just that.

use std::convert::Infallible;
use std::time::Duration;

use axum::body::Bytes;
use axum::http::HeaderValue;
use futures_util::Stream;
use futures_util::stream::unfold;

use super::answering::Answering;
use crate::api::connection::HangUp;
use crate::api::error::ApiError;
use crate::model::{InferError, InferResponse};

/// After its deadline an answer has so long for its last bytes to leave; then its connection is cut, or a client
/// that does not read would keep both for ever.
const LAST_BYTES: Duration = Duration::from_secs(5);

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The events of one answer.
pub(super) struct Events {
    /// `None` after the last event.
    answering: Option<Answering>,
    /// What is to be sent first.
    first: Option<Bytes>,
    _hang_up: HangUp,
}

impl Events {
    /// Waits for the first part, or for as long as there may be silence. Fails if the model does before.
    pub(super) async fn begin(mut answering: Answering) -> Result<Self, InferError> {
        let hang_up = answering.connection().hang_up_at(answering.deadline() + LAST_BYTES);
        let first = match tokio::time::timeout(answering.heartbeat(), answering.next()).await {
            Err(_silence) => Some(COMMENT),
            Ok(None) => None,
            Ok(Some(part)) => Some(event(&mut answering, part?).await?),
        };
        Ok(Events { answering: Some(answering), first, _hang_up: hang_up })
    }

    /// Where the time has gone so far.
    pub(super) fn server_timing(&self) -> HeaderValue {
        self.answering.as_ref().map_or(HeaderValue::from_static(""), Answering::server_timing)
    }

    /// The events, as they come. It never fails: an error is an event.
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
            Ok(None) => return self.end(Ok(())),
            Ok(Some(part)) => part,
        };
        let written = match part {
            Ok(part) => event(answering, part).await,
            Err(error) => Err(error),
        };
        written.map_or_else(|error| self.end(Err(error)), Some)
    }

    /// Gives back all that the answer held. The last event, if there is one, tells of an error.
    fn end(&mut self, outcome: Result<(), InferError>) -> Option<Bytes> {
        self.answering.take()?.tell(&outcome);
        let error = ApiError::from(outcome.err()?);
        Some(framed(&error.to_json()))
    }
}

async fn event(answering: &mut Answering, part: InferResponse) -> Result<Bytes, InferError> {
    answering.write(part).await.map(|json| framed(&json))
}

/// An event with that data, which is JSON and so holds no line break.
fn framed(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

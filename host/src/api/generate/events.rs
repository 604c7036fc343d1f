//! The body of a streamed answer: server-sent events.
//!
//! Each part is one event, `data: {…}` and an empty line; where nothing has come for a while there
//! is a comment line, which clients pass over. An error after the first part is an event too,
//! `data: {"error": …, "code": …}`, and the last: Triton's clients look for just that.

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

/// After its deadline an answer has so long for its last bytes to leave; then its connection is
/// cut, or a client that does not read would keep both for ever.
const LAST_BYTES: Duration = Duration::from_secs(5);

const COMMENT: Bytes = Bytes::from_static(b":\n\n");

/// The events of one answer.
pub(super) struct Events {
    /// `None` after the last event.
    answering: Option<Answering>,
    /// What is to be sent first.
    first: Option<Bytes>,
    /// True if there was a part.
    any: bool,
    _hang_up: HangUp,
}

impl Events {
    /// Waits for the first part, or for as long as there may be silence. Fails if the model does
    /// before.
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

    /// Gives back all that the answer held. The last event, if there is one, tells of an error.
    fn end(&mut self, outcome: Result<(), InferError>) -> Option<Bytes> {
        let mut answering = self.answering.take()?;
        answering.tell(&outcome);
        let error = ApiError::from(outcome.err()?);
        Some(framed(&error.to_json()))
    }
}

/// What is to be sent first: the first part, a comment if there was none for as long as there may
/// be silence, or what stands for an answer without parts. Tells whether it is more than a comment.
async fn first(answering: &mut Answering) -> Result<(Bytes, bool), InferError> {
    let json = match tokio::time::timeout(answering.heartbeat(), answering.next()).await {
        Err(_silence) => return Ok((COMMENT, false)),
        Ok(Some(part)) => answering.write(part?).await?,
        Ok(None) => answering.write_none().await?,
    };
    Ok((answering.keep(framed(&json))?, true))
}

/// An event with that data, which is JSON and so holds no line break.
fn framed(json: &[u8]) -> Bytes {
    [b"data: ", json, b"\n\n"].concat().into()
}

//! The answer of a route as a stream of events.

use axum::body::Bytes;

use super::codec::RouteCodec;
use crate::api::error::ApiError;
use crate::api::routes::generate::events::{EventFormat, to_event};
use crate::api::routes::generate::generation::Generation;
use crate::model::{InferError, InferResponse};

/// One event for each part, with the body that an answer of the route would have. An error is
/// `data: {"error": …, "code": …}`.
pub(super) struct RouteEvents;

impl EventFormat for RouteEvents {
    type Request = RouteCodec;

    /// A part without a row has no event.
    async fn part(
        &mut self,
        generation: &mut Generation<RouteCodec>,
        part: InferResponse,
    ) -> Result<Bytes, InferError> {
        match generation.write(part).await {
            Ok(body) => Ok(to_event(&body)),
            Err(InferError::NothingFound) => Ok(Bytes::new()),
            Err(error) => Err(error),
        }
    }

    async fn end(&mut self, _: &mut Generation<RouteCodec>) -> Result<Bytes, InferError> {
        Ok(Bytes::new())
    }

    fn error(&self, error: &ApiError) -> Bytes {
        to_event(&error.to_json())
    }
}

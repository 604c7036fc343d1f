//! The answer to a message: one message, or one for each part of a stream and an empty one.

use std::time::{Duration, Instant};

use axum::body::{Body, Bytes};
use axum::http::{Request, StatusCode};
use axum::response::{IntoResponse, Response};
use http_body_util::BodyExt;

use super::client::Answerer;
use super::conversation::Conversation;
use super::link::Link;
use crate::api::auth::Caller;
use crate::api::context::RequestContext;
use crate::api::extract::ModelPath;
use crate::api::inference::{self, Answer, ResolvedRequest};
use crate::api::routes::generate::generation::Generation;
use crate::api::routes::model_routes::codec::{RouteCodec, message_kind};
use crate::api::routes::model_routes::request::RequestHead;
use crate::api::state::ApiState;
use crate::api::unary;
use crate::api::websocket::{CloseCode, Closing, Message, MessageKind};
use crate::model::{InferError, ModelRoute, RouteBody};

/// Time between a stream's deadline and the end of a connection whose client does not read.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(5);

impl Conversation {
    /// Answers a message. Fails if the connection ends with it or before.
    pub(super) async fn answer(&mut self, message: Message) -> Result<(), Closing> {
        let Answerer { caller, tenant, route, servable, values } = self.client.find()?;
        caller.record_on(&self.connection);
        let context = RequestContext {
            request_id: self.client.request_id.clone(),
            received: Instant::now(),
            connection: self.connection.clone(),
        };

        let session = self.session.as_mut().map(|session| session.part(&servable));
        let query = self.client.query.clone();
        let head = RequestHead { path: values, query, session, ..RequestHead::default() };
        let codec = RouteCodec::new(route.clone(), head);
        let codec = check_kind(&route, message.kind).map(|()| codec);
        let path = ModelPath { model: servable.id().name.to_string(), version: None };

        let state = &*self.client.state;
        let admitted = inference::admit_to(state, &context, &tenant, &path, servable);
        // The request accounts for its body itself.
        drop(message.memory);
        let request = self.client.request(message.bytes);

        let link = &mut self.link;
        let response = if route.stream {
            let mut closing = None;
            let parts = Parts { link, closing: &mut closing, kind: message_kind(&route) };
            let stream = |resolved| parts.send(state, &caller, resolved, request, codec);
            let response =
                inference::respond_admitted(state, &context, &tenant, &path, admitted, stream)
                    .await;
            match closing {
                Some(closing) => return Err(closing),
                None => response,
            }
        } else {
            let whole =
                |resolved| unary::infer_and_record(state, &caller, resolved, request, |_| codec);
            let responding =
                inference::respond_admitted(state, &context, &tenant, &path, admitted, whole);
            link.while_reading(responding).await?
        };

        self.send(&route, response).await
    }

    /// Sends a response as a message. Fails if it is an error that is none of the client's.
    async fn send(&mut self, route: &ModelRoute, response: Response) -> Result<(), Closing> {
        let status = response.status();
        let (_head, body) = response.into_parts();
        // It is in memory already.
        let bytes = body.collect().await.map_err(|_| Closing::Gone)?.to_bytes();

        // The end of a stream is an empty text, whatever its parts are.
        let kind = match status.is_success() && !route.stream {
            true => message_kind(route),
            false => MessageKind::Text,
        };
        self.link.writer.message(kind, bytes).await?;

        match status {
            status if status.is_success() => {
                if let Some(session) = &mut self.session {
                    session.on_answered();
                }
                Ok(())
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                Err(Closing::new(CloseCode::TryLater, "the model cannot answer now"))
            }
            status if status.is_server_error() => {
                Err(Closing::new(CloseCode::Internal, "the request failed"))
            }
            _ => Ok(()),
        }
    }
}

/// Fails if a route does not read messages of this kind.
fn check_kind(route: &ModelRoute, kind: MessageKind) -> Result<(), InferError> {
    match (route.body, kind) {
        (RouteBody::Raw, _) | (_, MessageKind::Text) => Ok(()),
        (_, MessageKind::Binary) => {
            let text = "a binary message is not supported here; send JSON as a text message";
            Err(InferError::UnsupportedMedia(text.into()))
        }
    }
}

/// The parts of a stream on their way to the client.
struct Parts<'c> {
    link: &'c mut Link,
    /// Set if the connection ends before the stream.
    closing: &'c mut Option<Closing>,
    kind: MessageKind,
}

impl Parts<'_> {
    /// Sends one message for each part. Returns the empty response that is its end.
    async fn send(
        mut self,
        state: &ApiState,
        caller: &Caller,
        resolved: ResolvedRequest<'_>,
        request: Request<Body>,
        codec: Result<RouteCodec, InferError>,
    ) -> Answer {
        let mut generation = Generation::start(state, caller, resolved, request, |_| codec).await?;
        let connection = generation.connection();
        let _hang_up = connection.hang_up_at(generation.deadline() + FLUSH_TIMEOUT);

        let outcome = loop {
            match self.send_next(&mut generation).await {
                Ok(Ok(true)) => {}
                Ok(Ok(false)) => break Ok(()),
                Ok(Err(error)) => break Err(error),
                Err(closing) => {
                    *self.closing = Some(closing);
                    return Ok((StatusCode::OK.into_response(), None));
                }
            }
        };
        generation.log_outcome(&outcome);
        outcome?;

        Ok((StatusCode::OK.into_response(), None))
    }

    /// Sends the next part. Returns false after the last one.
    async fn send_next(
        &mut self,
        generation: &mut Generation<RouteCodec>,
    ) -> Result<Result<bool, InferError>, Closing> {
        match self.link.while_reading(next_part(generation)).await? {
            Ok(Some(part)) => {
                self.link.writer.message(self.kind, part).await?;
                Ok(Ok(true))
            }
            Ok(None) => Ok(Ok(false)),
            Err(error) => Ok(Err(error)),
        }
    }
}

/// Waits for the next part that is not empty; `None` after the last one. A part without a row has
/// no message.
async fn next_part(generation: &mut Generation<RouteCodec>) -> Result<Option<Bytes>, InferError> {
    while let Some(part) = generation.next().await {
        match generation.write(part?).await {
            Ok(bytes) if bytes.is_empty() => {}
            Ok(bytes) => return generation.guard_bytes(bytes).map(Some),
            Err(InferError::NothingFound) => {}
            Err(error) => return Err(error),
        }
    }

    Ok(None)
}

//! The wire format of a route.

use std::sync::Arc;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::Response;

use super::answer;
use super::request::{self, RequestHead};
use crate::api::http::compression::ContentCoding;
use crate::api::http::content_type;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::unary::{self, Codec, Decode};
use crate::api::websocket::MessageKind;
use crate::model::{AnswerForm, InferError, InferResponse, Metadata, ModelRoute, RouteBody};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// A route, and the parts of a request before its body.
#[derive(Clone)]
pub(super) struct RouteCodec {
    route: Arc<ModelRoute>,
    head: Arc<RequestHead>,
}

impl RouteCodec {
    pub(super) fn new(route: Arc<ModelRoute>, head: RequestHead) -> Self {
        RouteCodec { route, head: Arc::new(head) }
    }

    /// Checks the content type of a body. Fails if the route does not read it.
    pub(super) fn check_type(mut self, headers: &HeaderMap) -> Result<Self, InferError> {
        match self.route.body {
            RouteBody::Json => drop(content_type::JSON_ONLY.check(headers)?),
            RouteBody::Form => drop(content_type::FORM_ONLY.check(headers)?),
            RouteBody::Multipart => {
                Arc::make_mut(&mut self.head).boundary = Some(boundary(headers)?);
            }
            RouteBody::None | RouteBody::Raw => {}
        }
        Ok(self)
    }

    fn content_type(&self) -> Option<HeaderValue> {
        let default = match self.route.answer {
            AnswerForm::Empty => return None,
            AnswerForm::Raw => "application/octet-stream",
            _ => "application/json",
        };
        let named = self.route.content_type.as_deref();
        named.map_or(Some(HeaderValue::from_static(default)), |named| {
            HeaderValue::from_str(named).ok()
        })
    }
}

/// Returns the text between the parts of a form.
fn boundary(headers: &HeaderMap) -> Result<String, InferError> {
    let missing = || {
        let text = "the content type must be multipart/form-data with a boundary, as clients set it \
                    for a form";
        InferError::UnsupportedMedia(text.into())
    };
    let media = content_type::MULTIPART_ONLY.check(headers)?.ok_or_else(missing)?;

    // No longer one is valid (RFC 2046, section 5.1.1).
    let boundary = media.parameter("boundary").filter(|text| (1..=70).contains(&text.len()));
    boundary.map(str::to_owned).ok_or_else(missing)
}

/// Returns the kind of the messages that a route answers with.
pub(super) fn message_kind(route: &ModelRoute) -> MessageKind {
    let is_text = || route.content_type.as_deref().is_some_and(|name| name.starts_with("text/"));
    match route.answer {
        AnswerForm::Raw if !is_text() => MessageKind::Binary,
        _ => MessageKind::Text,
    }
}

impl Decode for RouteCodec {
    type Form = ();

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, ()), String> {
        request::decode(&self.route, metadata, &self.head, body, pacer)
            .map(|(decoded, _)| (decoded, ()))
    }
}

impl Codec for RouteCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        _id: &str,
        response: &InferResponse,
        _form: &(),
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let limit = servable.settings().limits.response;
        let body = answer::write(&self.route, servable.metadata(), response, limit, pacer)?;
        if self.route.websocket
            && message_kind(&self.route) == MessageKind::Text
            && std::str::from_utf8(&body).is_err()
        {
            let reason = "the route answers with text messages, and the output is not UTF-8";
            return Err(InferError::BadOutput(reason.into()));
        }
        Ok(EncodedResponse { body, json_length: None })
    }

    fn set_headers(&self, headers: &mut HeaderMap, _json_length: Option<usize>) {
        if let Some(name) = self.content_type() {
            headers.insert(CONTENT_TYPE, name);
        }
    }

    fn to_response(
        &self,
        encoded: EncodedResponse,
        coding: Option<ContentCoding>,
    ) -> Result<Response, InferError> {
        let mut response = unary::plain_response(self, encoded, coding);
        *response.status_mut() = StatusCode::from_u16(self.route.status).unwrap_or(StatusCode::OK);
        Ok(response)
    }
}

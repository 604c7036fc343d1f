//! `ModelInfer`: the same steps as inference by HTTP, in another wire format.

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Request};
use axum::response::Response;
use futures_util::stream;
use http_body_util::StreamBody;
use hyper::body::Frame;
use tonic::{Code, Status};

use super::frames::{self, MessageReader, Prefix};
use super::head::{self, CallHead};
use super::request::{self, Form};
use super::response::{self, Envelope};
use super::{status, target};
use crate::api::auth::{self, Access, Caller};
use crate::api::context::RequestContext;
use crate::api::error::ApiError;
use crate::api::http::body::within_receive_timeout;
use crate::api::http::compression::ContentCoding;
use crate::api::oip::classification::classify;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::state::ApiState;
use crate::api::unary::{self, Codec, Decode};
use crate::model::{InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// Answers `ModelInfer`.
pub(super) async fn handle(
    state: &ApiState,
    context: &RequestContext,
    request: Request<Body>,
) -> Response {
    let outcome = infer(state, context, request).await;
    outcome.unwrap_or_else(|error| status::failed(&error))
}

async fn infer(
    state: &ApiState,
    context: &RequestContext,
    request: Request<Body>,
) -> Result<Response, ApiError> {
    let (parts, body) = request.into_parts();
    let caller = authorize(state, context, &parts.headers)?;
    let call = CallHead::read(parts.headers)?;

    let mut reader = MessageReader::new(body);
    let arriving = async {
        let prefix = first(&mut reader).await?;
        let coding = call.coding(prefix)?;
        let path = target::read(&mut reader, prefix, coding).await?;
        Ok((prefix.length, coding, path))
    };
    let (length, coding, path) = within_receive_timeout(arriving).await?;

    let mut request = Request::new(reader.into_message(length));
    let timeout = call.timeout;
    *request.headers_mut() = call.into_headers(coding, timeout)?;

    let codec = |_: &HeaderMap| Ok(ProtobufCodec { envelope: Envelope::None });
    let response = unary::handle(state, context, &caller, &path, request, codec).await;

    match response.extensions().get::<ApiError>() {
        Some(error) => Err(error.clone()),
        None => Ok(response),
    }
}

/// Identifies the caller of a call of inference.
pub(super) fn authorize(
    state: &ApiState,
    context: &RequestContext,
    headers: &HeaderMap,
) -> Result<Caller, ApiError> {
    let caller = auth::authorize(state, headers, Access::Infer)?;
    caller.record_on(&context.connection);
    Ok(caller)
}

async fn first(reader: &mut MessageReader) -> Result<Prefix, InferError> {
    let none = || InferError::InvalidInput("the call has no message".into());
    reader.next().await?.ok_or_else(none)
}

/// Protocol buffers.
#[derive(Clone, Copy)]
pub(super) struct ProtobufCodec {
    pub(super) envelope: Envelope,
}

impl Decode for ProtobufCodec {
    type Form = Form;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, Form), String> {
        let (decoded, form) = request::decode(body, pacer)?;
        form.outputs.check(metadata)?;
        Ok((decoded, form))
    }
}

impl Codec for ProtobufCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        form: &Form,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let limit = servable.settings().limits.response;
        let response = classify(servable.metadata(), limit, response, &form.outputs, pacer)?;
        let body = response::encode(servable.id(), id, &response, form, self.envelope, pacer)?;
        Ok(EncodedResponse { body, json_length: None })
    }

    fn set_headers(&self, headers: &mut HeaderMap, _json_length: Option<usize>) {
        head::set_headers(headers);
    }

    fn to_response(
        &self,
        encoded: EncodedResponse,
        coding: Option<ContentCoding>,
    ) -> Result<Response, InferError> {
        let pieces = frames::pieces(encoded.body, coding.is_some())?;
        let frames = pieces.into_iter().map(Frame::data).chain([Frame::trailers(ok_trailers())]);
        let frames = stream::iter(frames.map(Ok::<_, axum::Error>));

        let mut response = Response::new(Body::new(StreamBody::new(frames)));
        self.set_headers(response.headers_mut(), None);
        if let Some(coding) = coding {
            head::set_coding(response.headers_mut(), coding.name());
        }

        Ok(response)
    }
}

/// Returns the answer with one message.
pub(super) fn ok_response(message: Vec<u8>) -> Result<Response, ApiError> {
    let codec = ProtobufCodec { envelope: Envelope::None };
    let encoded = EncodedResponse { body: message, json_length: None };
    Ok(codec.to_response(encoded, None)?)
}

/// Returns the trailers of a call that succeeded.
pub(super) fn ok_trailers() -> HeaderMap {
    trailers(&Status::new(Code::Ok, ""))
}

/// Returns the trailers of a call that ends with `status`.
pub(super) fn trailers(status: &Status) -> HeaderMap {
    let mut trailers = HeaderMap::with_capacity(3);
    // Fails only for a text that is no header, and percent-encoded ones are.
    let _ = status.add_header(&mut trailers);
    trailers
}

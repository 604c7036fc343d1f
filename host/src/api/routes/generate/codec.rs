//! The wire format of the routes: flat JSON.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use super::events::{EventFormat, to_event};
use super::generation::Generation;
use super::{request, response};
use crate::api::error::ApiError;
use crate::api::http::content_type;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::unary::{Codec, Decode};
use crate::model::{InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// A flat JSON object.
#[derive(Clone, Copy)]
pub(super) struct GenerateCodec;

impl GenerateCodec {
    /// Checks the content type of a request.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, InferError> {
        content_type::JSON_ONLY.check(headers)?;
        Ok(GenerateCodec)
    }
}

impl Decode for GenerateCodec {
    type Form = ();

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, ()), String> {
        Ok((request::read(metadata, body, pacer)?, ()))
    }
}

impl Codec for GenerateCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        _form: &(),
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let body = response::write(servable.id(), id, response, pacer)?;
        Ok(EncodedResponse { body, json_length: None })
    }

    fn set_headers(&self, headers: &mut HeaderMap, _json_length: Option<usize>) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

/// Events of flat JSON objects, one for each part. An error is `data: {"error": …, "code": …}`, as
/// Triton's clients expect.
#[derive(Default)]
pub(super) struct GenerateEvents {
    has_parts: bool,
}

impl EventFormat for GenerateEvents {
    type Request = GenerateCodec;

    async fn part(
        &mut self,
        generation: &mut Generation<GenerateCodec>,
        part: InferResponse,
    ) -> Result<Bytes, InferError> {
        self.has_parts = true;
        Ok(to_event(&generation.write(part).await?))
    }

    /// A response without parts is one event, with the outputs that the whole response would have.
    async fn end(
        &mut self,
        generation: &mut Generation<GenerateCodec>,
    ) -> Result<Bytes, InferError> {
        if self.has_parts {
            return Ok(Bytes::new());
        }
        Ok(to_event(&generation.write_empty().await?))
    }

    fn error(&self, error: &ApiError) -> Bytes {
        to_event(&error.to_json())
    }
}

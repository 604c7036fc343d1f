//! The wire format of the routes: flat JSON.

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use super::{request, response};
use crate::api::http::content_type;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::unary::Codec;
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

impl Codec for GenerateCodec {
    type Form = ();

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, ()), String> {
        Ok((request::read(metadata, body, pacer)?, ()))
    }

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

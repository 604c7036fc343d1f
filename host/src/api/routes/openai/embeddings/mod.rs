//! `POST /v1/embeddings`.

mod request;
mod response;

use axum::body::Bytes;
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, HeaderValue};

use crate::api::http::content_type;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::EncodedResponse;
use crate::api::unary::{Codec, Decode};
use crate::model::{InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// Texts in, vectors out.
#[derive(Clone, Copy)]
pub(super) struct EmbeddingsCodec;

/// The parts of a request that its response depends on.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Form {
    /// Name of the output with the vectors.
    output: String,
    texts: u64,
    /// True if the vectors are their bytes in base64, in place of lists of numbers.
    base64: bool,
    /// Length to which the vectors are cut.
    dimensions: Option<u64>,
    /// Tokens of the texts, unless the model counts them.
    estimated_tokens: u64,
}

impl EmbeddingsCodec {
    /// Checks the content type of a request.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, InferError> {
        content_type::JSON_ONLY.check(headers)?;
        Ok(EmbeddingsCodec)
    }
}

impl Decode for EmbeddingsCodec {
    type Form = Form;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, Form), String> {
        request::read(metadata, body, pacer)
    }
}

impl Codec for EmbeddingsCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        _id: &str,
        response: &InferResponse,
        form: &Form,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let model = servable.id().name.as_str();
        let limit = servable.settings().limits.response;
        let body = response::write(model, servable.metadata(), response, form, limit, pacer)?;
        Ok(EncodedResponse { body, json_length: None })
    }

    fn set_headers(&self, headers: &mut HeaderMap, _json_length: Option<usize>) {
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    }
}

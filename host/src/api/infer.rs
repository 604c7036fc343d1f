//! The inference route of the Open Inference Protocol.

use axum::body::Body;
use axum::http::{HeaderMap, Request};
use axum::response::Response;

use super::auth::Caller;
use super::context::RequestContext;
use super::extract::ModelPath;
use super::oip::framing::{self, Dialect, Framing};
use super::oip::request_json::{DecodedRequest, OutputSelection};
use super::oip::response_json::{self, EncodedResponse};
use super::state::ApiState;
use super::unary::{self, Codec};
use crate::model::{InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// Answers an inference request.
pub(super) async fn handle(
    state: &ApiState,
    context: &RequestContext,
    caller: &Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    unary::handle(state, context, caller, &path, request, InferCodec::from_headers).await
}

/// The JSON and the binary tensors of the Open Inference Protocol.
#[derive(Clone, Copy)]
pub(super) struct InferCodec {
    framing: Framing,
    dialect: Dialect,
}

impl InferCodec {
    /// JSON without binary tensors.
    pub(super) const JSON: InferCodec =
        InferCodec { framing: Framing::Json, dialect: Dialect::Header };

    /// Reads the framing of a body from its headers. Fails if the content type is not supported.
    pub(super) fn from_headers(headers: &HeaderMap) -> Result<Self, InferError> {
        let (framing, dialect) = framing::from_headers(headers)?;
        Ok(InferCodec { framing, dialect })
    }

    /// True if the body is JSON alone.
    pub(super) fn is_json(&self) -> bool {
        self.framing == Framing::Json
    }
}

impl Codec for InferCodec {
    type Form = OutputSelection;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &[u8],
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, OutputSelection), String> {
        let mut decoded = framing::decode(self.framing, metadata, body, pacer)?;
        let outputs = std::mem::take(&mut decoded.outputs);
        Ok((decoded, outputs))
    }

    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        outputs: &OutputSelection,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        response_json::encode(servable.id(), id, response, outputs, pacer)
    }

    fn set_headers(&self, headers: &mut HeaderMap, json_length: Option<usize>) {
        framing::set_headers(headers, self.dialect, json_length);
    }
}

//! The inference route of the Open Inference Protocol.

use std::sync::Arc;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use axum::response::Response;

use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::extract::ModelPath;
use crate::api::oip::classification::classify;
use crate::api::oip::framing::{self, Dialect, Framing};
use crate::api::oip::output_selection::OutputSelection;
use crate::api::oip::request_json::DecodedRequest;
use crate::api::oip::response_json::{self, EncodedResponse};
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::api::unary::{self, Codec, Decode};
use crate::model::{InferError, InferResponse, Metadata};
use crate::servable::ServableHandle;
use crate::tenant::Pacer;

/// A request to the example model `iris`.
const EXAMPLE: &str = r#"{
    "inputs": [
        {"name": "measurements", "datatype": "FP64", "shape": [1, 4], "data": [5.1, 3.5, 1.4, 0.2]}
    ],
    "outputs": [{"name": "label"}, {"name": "probabilities", "parameters": {"classification": 2}}]
}"#;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![
        route::post("/v2/models/{model}/infer", Access::Infer, infer_model).describe(Operation {
            id: "infer",
            tag: "inference",
            summary: "Ask a model",
            request_body: "InferRequest",
            example: EXAMPLE,
            response_body: "InferResponse",
            errors: errors::INFERENCE,
            ..OPERATION
        }),
        route::post("/v2/models/{model}/versions/{version}/infer", Access::Infer, infer_model)
            .describe(Operation {
                id: "infer_version",
                tag: "inference",
                summary: "Ask a version",
                request_body: "InferRequest",
                example: EXAMPLE,
                response_body: "InferResponse",
                errors: errors::INFERENCE,
                ..OPERATION
            }),
    ]
}

/// `POST /v2/models/{m}[/versions/{v}]/infer` with escapes in the path.
async fn infer_model(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    path: ModelPath,
    request: Request<Body>,
) -> Response {
    handle(&state, &context, &caller, path, request).await
}

/// Answers an inference request. The HTTP service calls it for a plain path.
pub(in crate::api) async fn handle(
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

    /// Decodes the body of a request. Fails with a text for the caller.
    pub(super) fn read(
        &self,
        metadata: &Metadata,
        body: &[u8],
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, OutputSelection), String> {
        let mut decoded = framing::decode(self.framing, metadata, body, pacer)?;
        let outputs = std::mem::take(&mut decoded.outputs);
        outputs.check(metadata)?;
        Ok((decoded, outputs))
    }

    /// True if the body is JSON alone.
    pub(super) fn is_json(&self) -> bool {
        self.framing == Framing::Json
    }
}

impl Decode for InferCodec {
    type Form = OutputSelection;

    fn decode(
        &self,
        metadata: &Metadata,
        body: &Bytes,
        pacer: &Pacer,
    ) -> Result<(DecodedRequest, OutputSelection), String> {
        self.read(metadata, body, pacer)
    }
}

impl Codec for InferCodec {
    fn encode(
        &self,
        servable: &ServableHandle,
        id: &str,
        response: &InferResponse,
        outputs: &OutputSelection,
        pacer: &Pacer,
    ) -> Result<EncodedResponse, InferError> {
        let limit = servable.settings().limits.response;
        let response = classify(servable.metadata(), limit, response, outputs, pacer)?;
        response_json::encode(servable.id(), id, &response, outputs, pacer)
    }

    fn set_headers(&self, headers: &mut HeaderMap, json_length: Option<usize>) {
        framing::set_headers(headers, self.dialect, json_length);
    }
}

//! `POST /invocations` of SageMaker and MLflow: an inference request or a table, whose path names
//! no model.

use std::sync::Arc;

use axum::Extension;
use axum::body::Body;
use axum::extract::State;
use axum::http::{HeaderMap, Request};
use axum::response::{IntoResponse, Response};

use super::predict;
use super::route::{self, Endpoint, OPERATION, Operation};
use crate::api::auth::{Access, Caller};
use crate::api::context::RequestContext;
use crate::api::error::ApiError;
use crate::api::extract::ModelPath;
use crate::api::openapi::errors;
use crate::api::state::ApiState;
use crate::model::InferError;

/// The routes of this file.
pub(super) fn endpoints() -> Vec<Endpoint> {
    vec![route::post("/invocations", Access::Infer, invocations).describe(Operation {
        id: "invocations",
        tag: "inference",
        summary: "Ask a model as SageMaker or MLflow does",
        request_body: "Invocation",
        example: r#"{"instances": [[5.1, 3.5, 1.4, 0.2]]}"#,
        response_body: "InvocationResponse",
        errors: errors::INFERENCE,
        ..OPERATION
    })]
}

/// The header that selects the model of a multi-model endpoint.
const TARGET_MODEL: &str = "x-amzn-sagemaker-target-model";

/// `POST /invocations`.
async fn invocations(
    State(state): State<Arc<ApiState>>,
    Extension(context): Extension<RequestContext>,
    caller: Caller,
    request: Request<Body>,
) -> Response {
    match requested_model(&state, &caller, request.headers()) {
        Ok(path) => predict::invoke(&state, &context, &caller, path, request).await,
        Err(error) => error.into_response(),
    }
}

/// Returns the model from the header, else the configured default, else the tenant's only model.
fn requested_model(
    state: &ApiState,
    caller: &Caller,
    headers: &HeaderMap,
) -> Result<ModelPath, ApiError> {
    if let Some(named) = headers.get(TARGET_MODEL) {
        let model = named.to_str().map_err(|_| InferError::ModelNotFound)?.to_string();
        return Ok(ModelPath { model, version: None });
    }

    if let Some(model) = &state.default_model {
        return Ok(ModelPath { model: model.as_str().to_string(), version: None });
    }

    match state.dataplane.models(caller.tenant_name()?).as_slice() {
        [only] => Ok(ModelPath { model: only.as_str().to_string(), version: None }),
        [] => Err(InferError::NotReady("no model serves yet".into()).into()),
        _ => {
            let text = format!("there are several models: name one in the header {TARGET_MODEL}");
            Err(InferError::InvalidInput(text).into())
        }
    }
}

//! Validates a response of the guest against the metadata and the request.

use std::sync::Arc;

use crate::model::{InferError, InferRequest, InferResponse, Metadata};

/// Returns the function that validates the response to a request; see [`validate_response`].
pub(super) fn response_validator(
    metadata: &Arc<Metadata>,
    request: &InferRequest,
) -> impl FnOnce(InferResponse) -> Result<InferResponse, InferError> + Send + use<> {
    let metadata = metadata.clone();
    let requested = request.outputs.clone();
    move |response| validate_response(&metadata, &requested, response)
}

/// Checks a response against the metadata and drops outputs that were not requested. Fails with
/// `BadOutput`.
fn validate_response(
    metadata: &Metadata,
    requested: &[String],
    mut response: InferResponse,
) -> Result<InferResponse, InferError> {
    metadata.check_response(requested, &response).map_err(InferError::BadOutput)?;

    if !requested.is_empty() {
        response.outputs.retain(|tensor| requested.contains(&tensor.name));
    }
    Ok(response)
}

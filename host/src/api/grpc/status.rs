//! The status of a call that failed: one table from the errors of the interface to the codes of
//! gRPC.

use axum::body::Body;
use axum::response::Response;
use tonic::metadata::MetadataValue;
use tonic::{Code, Status};

use crate::api::error::ApiError;
use crate::model::sanitize_lines;

/// The longest text in bytes. Clients refuse metadata of more than 8 KiB, and each byte may take
/// three.
const MAX_TEXT: usize = 2 << 10;

/// Returns the code of an error.
fn code(error: &ApiError) -> Code {
    match (error.code, error.status.as_u16()) {
        ("load_failed", _) => Code::FailedPrecondition,
        (_, 400 | 415 | 422) => Code::InvalidArgument,
        (_, 401) => Code::Unauthenticated,
        (_, 403) => Code::PermissionDenied,
        (_, 404) => Code::NotFound,
        (_, 405 | 501) => Code::Unimplemented,
        (_, 408 | 504) => Code::DeadlineExceeded,
        (_, 409) => Code::Aborted,
        (_, 413 | 429 | 507) => Code::ResourceExhausted,
        (_, 502 | 503) => Code::Unavailable,
        // An interceptor may refuse with any status of these.
        (_, 400..=499) => Code::FailedPrecondition,
        (_, 500..=599) => Code::Internal,
        (_, _) => Code::Unknown,
    }
}

/// Returns the status of an error. Its metadata have the server's own code, the quota that is used
/// up, and the time after which a repetition may succeed.
pub(super) fn status(error: &ApiError) -> Status {
    let mut status = Status::new(code(error), text(error));
    let metadata = status.metadata_mut();

    metadata.insert("wardian-code", MetadataValue::from_static(error.code));
    if let Some(quota) = error.quota {
        metadata.insert("wardian-quota", MetadataValue::from_static(quota));
    }
    if error.retry_after_seconds > 0 {
        let milliseconds = u64::from(error.retry_after_seconds) * 1000;
        metadata.insert("grpc-retry-pushback-ms", milliseconds.into());
    }

    status
}

/// Returns the text of an error for the caller, in one line.
pub(super) fn text(error: &ApiError) -> String {
    sanitize_lines(&error.text, MAX_TEXT)
}

/// Returns the response of a call that failed before its first message.
pub(in crate::api) fn failed(error: &ApiError) -> Response {
    status(error).into_http::<Body>()
}

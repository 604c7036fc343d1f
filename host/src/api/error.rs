//! The error table: from internal errors to status, code and text.

use axum::http::header::{CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use super::json::shorten;
use crate::lifecycle::{CommandError, RefreshError};
use crate::model::{InferError, LoadError, Stage, sanitize_lines};

/// The error response: `{"error": text, "code": code}`, with `"quota": name` for exhausted quotas.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct ApiError {
    pub(super) status: StatusCode,
    pub(super) code: &'static str,
    pub(super) text: String,
    /// Name of the exhausted quota.
    pub(super) quota: Option<&'static str>,
    /// Seconds until a retry may succeed; 0 if it will not.
    pub(super) retry_after_seconds: u32,
}

/// Maximum length of an error text in bytes.
const MAX_TEXT: usize = 16 << 10;

/// Default retry delay in seconds. After one second, a model's queue or a running load has usually
/// advanced.
const RETRY_AFTER_SECONDS: u32 = 1;

impl ApiError {
    pub(super) fn new(status: StatusCode, code: &'static str, text: impl Into<String>) -> Self {
        let waits =
            matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::SERVICE_UNAVAILABLE);
        let retry_after_seconds = if waits { RETRY_AFTER_SECONDS } else { 0 };
        ApiError { status, code, text: text.into(), quota: None, retry_after_seconds }
    }

    /// The path does not support `method`. `allowed` lists the supported ones.
    pub(super) fn method_not_allowed(method: &Method, allowed: &str) -> Self {
        let method = shorten(method.as_str());
        let text = format!("this path takes {}, not {method}", allowed.replace(',', " or "));
        ApiError::new(StatusCode::METHOD_NOT_ALLOWED, "method_not_allowed", text)
    }

    /// The protocol defines this feature, this server does not implement it.
    pub(super) fn unsupported(text: &str) -> Self {
        ApiError::new(StatusCode::NOT_IMPLEMENTED, "unsupported", text)
    }

    /// Adds the model and version to the error text.
    pub(super) fn with_model(mut self, model: &str, version: Option<&str>) -> Self {
        let model = shorten(model);
        self.text = match version {
            Some(version) => {
                format!("model '{model}' version {}: {}", shorten(version), self.text)
            }
            None => format!("model '{model}': {}", self.text),
        };
        self
    }
}

/// Returns the status and code of each error that a request can end with.
fn status_and_code(error: &InferError) -> (StatusCode, &'static str) {
    match error {
        InferError::InvalidInput(_) => (StatusCode::BAD_REQUEST, "invalid_input"),
        InferError::UnsupportedMedia(_) => {
            (StatusCode::UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type")
        }
        InferError::ModelNotFound => (StatusCode::NOT_FOUND, "model_not_found"),
        InferError::NothingFound => (StatusCode::NOT_FOUND, "not_found"),
        InferError::RequestTooLarge { .. } => (StatusCode::PAYLOAD_TOO_LARGE, "request_too_large"),
        InferError::Rejected(_) => (StatusCode::UNPROCESSABLE_ENTITY, "model_rejected_input"),
        InferError::QueueFull { .. } | InferError::QuotaExceeded(_) => {
            (StatusCode::TOO_MANY_REQUESTS, "quota_exceeded")
        }
        InferError::Trapped { .. } => (StatusCode::INTERNAL_SERVER_ERROR, "model_trapped"),
        InferError::OutOfMemory { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "model_out_of_memory")
        }
        InferError::BadOutput(_) => (StatusCode::INTERNAL_SERVER_ERROR, "model_bad_output"),
        InferError::OversizedOutput(_) => (StatusCode::INTERNAL_SERVER_ERROR, "model_bad_output"),
        InferError::NotJson(_) => (StatusCode::INTERNAL_SERVER_ERROR, "model_bad_output"),
        InferError::ResponseTooLarge { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "response_too_large")
        }
        InferError::Failed(_) => (StatusCode::INTERNAL_SERVER_ERROR, "model_failed"),
        InferError::Refused { status, .. } => (
            StatusCode::from_u16(*status).unwrap_or(StatusCode::FORBIDDEN),
            "rejected_by_interceptor",
        ),
        InferError::InterceptorFailed { .. } => {
            (StatusCode::INTERNAL_SERVER_ERROR, "interceptor_failed")
        }
        InferError::NotReady(_) => (StatusCode::SERVICE_UNAVAILABLE, "model_not_ready"),
        InferError::Suspended { .. } => (StatusCode::SERVICE_UNAVAILABLE, "model_suspended"),
        InferError::Overloaded => (StatusCode::SERVICE_UNAVAILABLE, "overloaded"),
        InferError::DeadlineExceeded(_) => (StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded"),
        InferError::CpuTimeExceeded(_) => (StatusCode::GATEWAY_TIMEOUT, "cpu_time_exceeded"),
        InferError::StoreUnavailable(_) => (StatusCode::SERVICE_UNAVAILABLE, "store_unavailable"),
        InferError::Internal(_) => (StatusCode::INTERNAL_SERVER_ERROR, "internal"),
    }
}

impl From<&InferError> for ApiError {
    fn from(error: &InferError) -> Self {
        let (status, code) = status_and_code(error);

        let quota = match error {
            InferError::QuotaExceeded(refusal) => Some(refusal.quota),
            InferError::QueueFull { .. } => Some("max_queue"),
            _ => None,
        };

        let mut public = ApiError { quota, ..ApiError::new(status, code, error.to_string()) };

        if let InferError::Suspended { retry_after_seconds } = error {
            public.retry_after_seconds = *retry_after_seconds;
        }

        public
    }
}

impl From<InferError> for ApiError {
    fn from(error: InferError) -> Self {
        ApiError::from(&error)
    }
}

impl From<CommandError> for ApiError {
    fn from(error: CommandError) -> Self {
        match error {
            CommandError::NotFound => InferError::ModelNotFound.into(),
            CommandError::Stopping => InferError::Overloaded.into(),
            CommandError::Failed(LoadError { stage: Stage::Disk, reason, .. }) => {
                ApiError::new(StatusCode::INSUFFICIENT_STORAGE, "disk_full", reason)
            }
            // The request was well formed and the server works. The model itself cannot be
            // processed.
            CommandError::Failed(fault) => {
                ApiError::new(StatusCode::UNPROCESSABLE_ENTITY, "load_failed", fault.to_string())
            }
        }
    }
}

impl From<RefreshError> for ApiError {
    fn from(error: RefreshError) -> Self {
        let text = error.to_string();
        match error {
            RefreshError::Degraded(_) => {
                ApiError::new(StatusCode::SERVICE_UNAVAILABLE, "repository_degraded", text)
            }
            RefreshError::TimedOut => {
                ApiError::new(StatusCode::GATEWAY_TIMEOUT, "deadline_exceeded", text)
            }
            RefreshError::Command(error) => error.into(),
        }
    }
}

impl ApiError {
    /// Returns the text as a caller may read it: it may have parts from a guest or a caller.
    pub(super) fn public_text(&self) -> String {
        sanitize_lines(&self.text, MAX_TEXT)
    }

    /// Returns the response body of this error.
    pub(super) fn to_json(&self) -> Vec<u8> {
        #[derive(Serialize)]
        struct Body<'a> {
            error: &'a str,
            code: &'a str,
            #[serde(skip_serializing_if = "Option::is_none")]
            quota: Option<&'a str>,
        }

        let text = self.public_text();
        let body = Body { error: &text, code: self.code, quota: self.quota };

        // Texts can always be serialized.
        serde_json::to_vec(&body).unwrap_or_default()
    }
}

/// The error code for an unknown API key.
pub(super) const UNKNOWN_KEY: &str = "unknown_key";

/// Returns the header that requests an API key in a 401 response (RFC 6750, section 3). A key that
/// was sent and is unknown is an invalid token.
fn challenge_header(code: &str) -> (HeaderName, HeaderValue) {
    let challenge = if code == UNKNOWN_KEY { "Bearer error=\"invalid_token\"" } else { "Bearer" };
    (WWW_AUTHENTICATE, HeaderValue::from_static(challenge))
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let mut response = (self.status, self.to_json()).into_response();
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.extend([challenge_header(self.code)]);
        }

        if self.retry_after_seconds > 0 {
            headers.insert(RETRY_AFTER, HeaderValue::from(self.retry_after_seconds));
        }

        // gRPC answers with a status instead.
        response.extensions_mut().insert(self);

        response
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::Deadline;

    #[test]
    fn errors_map_to_documented_status_and_code() {
        let second = Duration::from_secs(1);
        let detail = || "secret".to_string();

        for (error, status, code) in [
            (InferError::InvalidInput("x".into()), 400, "invalid_input"),
            (InferError::UnsupportedMedia("x".into()), 415, "unsupported_media_type"),
            (InferError::ModelNotFound, 404, "model_not_found"),
            (InferError::NothingFound, 404, "not_found"),
            (InferError::RequestTooLarge { limit: 1 }, 413, "request_too_large"),
            (InferError::Rejected("x".into()), 422, "model_rejected_input"),
            (InferError::QueueFull { limit: 1 }, 429, "quota_exceeded"),
            (InferError::Trapped { detail: detail() }, 500, "model_trapped"),
            (InferError::OutOfMemory { limit: 1, detail: detail() }, 500, "model_out_of_memory"),
            (InferError::BadOutput(detail()), 500, "model_bad_output"),
            (InferError::OversizedOutput(detail()), 500, "model_bad_output"),
            (InferError::NotJson("x".into()), 500, "model_bad_output"),
            (InferError::ResponseTooLarge { limit: 1 }, 500, "response_too_large"),
            (InferError::Failed(detail()), 500, "model_failed"),
            (
                InferError::Refused { status: 451, message: "x".into() },
                451,
                "rejected_by_interceptor",
            ),
            (
                InferError::Refused { status: 503, message: "x".into() },
                503,
                "rejected_by_interceptor",
            ),
            (
                InferError::InterceptorFailed { name: "a".into(), detail: detail() },
                500,
                "interceptor_failed",
            ),
            (InferError::NotReady("x".into()), 503, "model_not_ready"),
            (InferError::Suspended { retry_after_seconds: 3 }, 503, "model_suspended"),
            (InferError::Overloaded, 503, "overloaded"),
            (
                InferError::DeadlineExceeded(Deadline::from_settings(second)),
                504,
                "deadline_exceeded",
            ),
            (InferError::CpuTimeExceeded(second), 504, "cpu_time_exceeded"),
            (InferError::StoreUnavailable(detail()), 503, "store_unavailable"),
            (InferError::Internal(detail()), 500, "internal"),
        ] {
            let seen = ApiError::from(&error);
            assert_eq!((seen.status.as_u16(), seen.code), (status, code), "{error:?}");
            assert!(!seen.text.contains("secret"), "{error:?}");
            let retries = seen.into_response().headers().contains_key(RETRY_AFTER);
            assert_eq!(retries, status == 429 || status == 503, "{error:?}");
        }
    }

    #[test]
    fn command_errors_name_stage_and_reason() {
        let failed = ApiError::from(CommandError::Failed(LoadError::new(Stage::Link, "needs sql")));
        assert_eq!(
            (failed.status.as_u16(), failed.code, failed.text.as_str()),
            (422, "load_failed", "link: needs sql")
        );

        let full = ApiError::from(CommandError::Failed(LoadError::new(Stage::Disk, "no room")));
        assert_eq!(
            (full.status.as_u16(), full.code, full.text.as_str()),
            (507, "disk_full", "no room")
        );
        assert_eq!(ApiError::from(CommandError::NotFound).status, StatusCode::NOT_FOUND);
        assert_eq!(ApiError::from(CommandError::Stopping).status, StatusCode::SERVICE_UNAVAILABLE);
    }

    #[test]
    fn with_model_names_model_and_version() {
        let error = ApiError::from(InferError::ModelNotFound);
        assert!(error.clone().with_model("a", None).text.starts_with("model 'a': there is no"));
        assert!(error.with_model("a", Some("3")).text.starts_with("model 'a' version 3: "));
    }
}

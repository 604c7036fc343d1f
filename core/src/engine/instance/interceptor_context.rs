//! The context of a call as interceptors see it, and their refusals.

use std::sync::Arc;

use super::MAX_ERROR_TEXT;
use crate::capability::sanitize_line;
use crate::engine::bindings::interceptor;
use crate::model::{InferError, ModelId, RequestId};

/// The context of a call as interceptors see it.
#[derive(Clone, Debug)]
pub struct InterceptorContext {
    /// The version that is called.
    pub id: ModelId,
    /// The request, as named in logs.
    pub request_id: RequestId,
    /// The id of the caller's API key; `None` if no key is required.
    pub key: Option<Arc<str>>,
}

impl From<&InterceptorContext> for interceptor::Context {
    fn from(context: &InterceptorContext) -> Self {
        interceptor::Context {
            tenant: context.id.tenant.to_string(),
            model: context.id.name.to_string(),
            version: context.id.version.number(),
            request_id: context.request_id.to_string(),
            key: context.key.as_deref().unwrap_or_default().to_string(),
        }
    }
}

impl From<&ModelId> for interceptor::Version {
    fn from(id: &ModelId) -> Self {
        let ModelId { tenant, name, version } = id;
        interceptor::Version {
            tenant: tenant.to_string(),
            model: name.to_string(),
            version: version.number(),
        }
    }
}

impl From<interceptor::Rejection> for InferError {
    fn from(rejection: interceptor::Rejection) -> Self {
        let interceptor::Rejection { status, message } = rejection;
        InferError::Refused {
            status: allowed_status(status),
            message: sanitize_line(&message, MAX_REFUSAL),
        }
    }
}

/// Returns the status of a refusal. It may blame the caller or ask it to retry; it must look
/// neither like a success nor like a fault of the host.
fn allowed_status(status: u16) -> u16 {
    if (400..500).contains(&status) || status == 503 { status } else { FORBIDDEN }
}

const FORBIDDEN: u16 = 403;

/// The longest text of a refusal, in bytes; it is meant for people.
const MAX_REFUSAL: usize = 1024;

/// Returns the error of an interceptor that prevents a load. Its text is shown to callers that may
/// list the repository.
pub(super) fn load_objection(reason: String) -> InferError {
    InferError::Rejected(sanitize_line(&reason, MAX_ERROR_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_cannot_look_like_a_success_or_forge_a_log_line() {
        let refused = |status, message: &str| {
            InferError::from(interceptor::Rejection { status, message: message.into() })
        };
        for (said, is) in [
            (400, 400),
            (429, 429),
            (499, 499),
            (503, 503),
            (200, 403),
            (500, 403),
            (0, 403),
            (65535, 403),
        ] {
            assert_eq!(
                refused(said, "no"),
                InferError::Refused { status: is, message: "no".into() }
            );
        }

        let InferError::Refused { message, .. } = refused(403, &"a\nb".repeat(1000)) else {
            panic!()
        };
        assert!(message.len() < 2 * MAX_REFUSAL && !message.contains('\n'), "{message:?}");
    }
}

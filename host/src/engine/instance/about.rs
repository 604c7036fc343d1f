//! What an interceptor is told a call is about, and how it says no.

use std::sync::Arc;

use super::MAX_ERROR_TEXT;
use crate::capability::clean;
use crate::engine::bindings::interceptor;
use crate::model::{InferError, ModelId, RequestId};

/// What an interceptor is told a call is about.
#[derive(Clone, Debug)]
pub struct CallContext {
    /// Which version answers it.
    pub id: ModelId,
    /// Names the request in logs.
    pub request_id: RequestId,
    /// The id of the caller's key; `None` where none is asked for.
    pub key: Option<Arc<str>>,
}

impl From<&CallContext> for interceptor::Context {
    fn from(about: &CallContext) -> Self {
        interceptor::Context {
            tenant: about.id.tenant.to_string(),
            model: about.id.name.to_string(),
            version: about.id.version.number(),
            request_id: about.request_id.to_string(),
            key: about.key.as_deref().unwrap_or_default().to_string(),
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
        InferError::Refused { status: permitted(status), message: clean(&message, MAX_REFUSAL) }
    }
}

/// A refusal may say what a caller did wrong, or that it should come later. It may not look like a
/// success, or like a fault of the host's.
fn permitted(status: u16) -> u16 {
    if (400..500).contains(&status) || status == 503 { status } else { FORBIDDEN }
}

const FORBIDDEN: u16 = 403;

/// The longest text of a refusal, in bytes: it is for a person to read.
const MAX_REFUSAL: usize = 1024;

/// What keeps a version from being loaded. The text is for whoever may list the repository.
pub(super) fn objection(reason: String) -> InferError {
    InferError::Rejected(clean(&reason, MAX_ERROR_TEXT))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_refusal_can_neither_look_like_a_success_nor_forge_a_line() {
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

//! Attribution of errors: the party of a request that caused its error.

use super::InferError;

/// The party that caused an error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Blame {
    /// The caller: the request is invalid, or asks for something that does not exist.
    Caller,
    /// The model: it violated its contract.
    Model,
    /// The model or the caller: a call exceeded a limit, and its cost depends on the request.
    Limit,
    /// An interceptor of the tenant.
    Interceptor,
    /// None of these: a timeout, a lack of capacity, or a fault of the host.
    Circumstances,
}

impl InferError {
    /// Returns the party that caused this error. The circuit breaker counts [`Blame::Model`] and
    /// [`Blame::Limit`], and nothing else.
    pub fn blame(&self) -> Blame {
        match self {
            InferError::InvalidInput(_)
            | InferError::ModelNotFound
            | InferError::NothingFound
            | InferError::RequestTooLarge { .. }
            | InferError::UnsupportedMedia(_)
            | InferError::Rejected(_)
            | InferError::Refused { .. } => Blame::Caller,
            // The caller chose JSON; binary output can hold any value.
            InferError::NotJson(_) => Blame::Caller,
            // The caller requested a response of that length.
            InferError::ResponseTooLarge { .. } => Blame::Caller,
            InferError::Trapped { .. } | InferError::BadOutput(_) => Blame::Model,
            InferError::OutOfMemory { .. }
            | InferError::CpuTimeExceeded(_)
            | InferError::OversizedOutput(_) => Blame::Limit,
            InferError::InterceptorFailed { .. } => Blame::Interceptor,
            // The contract allows a model to report a failure, for example of an upstream service.
            InferError::Failed(_) => Blame::Circumstances,
            // The deadline may be the caller's, and includes the time in the queue.
            InferError::DeadlineExceeded(_) => Blame::Circumstances,
            InferError::QueueFull { .. }
            | InferError::QuotaExceeded(_)
            | InferError::NotReady(_)
            | InferError::Suspended { .. }
            | InferError::Overloaded
            | InferError::StoreUnavailable(_)
            | InferError::Internal(_) => Blame::Circumstances,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::model::{Deadline, QuotaExceeded};

    #[test]
    fn every_error_has_one_party_to_blame() {
        let (text, second) = (String::new, Duration::from_secs(1));
        let quota = QuotaExceeded { quota: "memory", limit: 1, retry_after_seconds: 1 };
        for (error, blame) in [
            (InferError::InvalidInput(text()), Blame::Caller),
            (InferError::ModelNotFound, Blame::Caller),
            (InferError::NothingFound, Blame::Caller),
            (InferError::RequestTooLarge { limit: 1 }, Blame::Caller),
            (InferError::UnsupportedMedia(text()), Blame::Caller),
            (InferError::Rejected(text()), Blame::Caller),
            (InferError::Refused { status: 403, message: text() }, Blame::Caller),
            (InferError::NotJson(text()), Blame::Caller),
            (InferError::ResponseTooLarge { limit: 1 }, Blame::Caller),
            (InferError::Trapped { detail: text() }, Blame::Model),
            (InferError::BadOutput(text()), Blame::Model),
            (InferError::OutOfMemory { limit: 1, detail: text() }, Blame::Limit),
            (InferError::CpuTimeExceeded(second), Blame::Limit),
            (InferError::OversizedOutput(text()), Blame::Limit),
            (InferError::InterceptorFailed { name: text(), detail: text() }, Blame::Interceptor),
            (InferError::Failed(text()), Blame::Circumstances),
            (InferError::DeadlineExceeded(Deadline::from_settings(second)), Blame::Circumstances),
            (InferError::QueueFull { limit: 1 }, Blame::Circumstances),
            (InferError::QuotaExceeded(quota), Blame::Circumstances),
            (InferError::NotReady(text()), Blame::Circumstances),
            (InferError::Suspended { retry_after_seconds: 1 }, Blame::Circumstances),
            (InferError::Overloaded, Blame::Circumstances),
            (InferError::StoreUnavailable(text()), Blame::Circumstances),
            (InferError::Internal(text()), Blame::Circumstances),
        ] {
            assert_eq!(error.blame(), blame, "{error:?}");
        }
    }
}

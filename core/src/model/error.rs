//! Errors of requests and of loads.
//!
//! The `Display` text of an [`InferError`] is for the caller. Details that belong to the model's
//! owner, such as the message of a trap, are in [`InferError::private_detail`] and go to the log.

use std::time::Duration;

use super::{Deadline, sanitize_lines};

/// Limit of the reason of a failed load, in bytes.
const MAX_REASON: usize = 16 << 10;

/// Reason for a failed request.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// The request is malformed or does not match the model's metadata.
    #[error("{0}")]
    InvalidInput(String),
    /// The content type or encoding of the body is not supported.
    #[error("{0}")]
    UnsupportedMedia(String),
    /// The tenant has no such model or version.
    #[error("there is no such model or version")]
    ModelNotFound,
    /// The body exceeds the limit.
    #[error("the request is larger than the {limit} bytes allowed")]
    RequestTooLarge {
        /// Limit, in bytes.
        limit: u64,
    },
    /// The model rejected the input.
    #[error("{0}")]
    Rejected(String),
    /// The model's queue is full.
    #[error("{limit} requests wait for this model already; try again later")]
    QueueFull {
        /// Limit of waiting requests.
        limit: u32,
    },
    /// A quota of the tenant is used up.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The guest trapped.
    #[error("the model stopped with a fault; its log has the details")]
    Trapped {
        /// Message of the engine and the guest.
        detail: String,
    },
    /// The guest exceeded its memory limit.
    #[error("the model ran out of its {limit} bytes of memory")]
    OutOfMemory {
        /// Limit, in bytes.
        limit: u64,
        /// Message of the engine and the guest.
        detail: String,
    },
    /// The response contradicts the model's metadata.
    #[error("the model's answer was not valid; its log has the details")]
    BadOutput(String),
    /// The response exceeds the model's limits.
    #[error("the model's answer was not valid; its log has the details")]
    OversizedOutput(String),
    /// A streamed response exceeds its limit. The parts before have been sent.
    #[error("the answer is longer than the {limit} bytes allowed")]
    ResponseTooLarge {
        /// Limit, in bytes.
        limit: u64,
    },
    /// The response contains a value that JSON cannot express.
    #[error("the answer cannot be written as JSON: {0}; ask for binary output")]
    NotJson(String),
    /// An interceptor rejected the call.
    #[error("{message}")]
    Refused {
        /// Status chosen by the interceptor: 400 to 499, or 503.
        status: u16,
        /// Text for the caller.
        message: String,
    },
    /// An interceptor failed. Calls must pass every interceptor, so this one fails too.
    #[error("the interceptor '{name}' failed; its log has the details")]
    InterceptorFailed {
        /// Name of the interceptor.
        name: String,
        /// Details for the log.
        detail: String,
    },
    /// The model reported a failure.
    #[error("the model reported a failure; its log has the details")]
    Failed(String),
    /// The model is known but not serving.
    #[error("the model is not ready: {0}")]
    NotReady(String),
    /// The model answered no row, and its route answers with one.
    #[error("there is no such thing")]
    NothingFound,
    /// The circuit breaker is open: the version failed repeatedly.
    #[error(
        "the model keeps failing and is out of service for {retry_after_seconds} s; its log has the details"
    )]
    Suspended {
        /// Seconds until the next attempt.
        retry_after_seconds: u32,
    },
    /// The host has no capacity for another instance, or is stopping.
    #[error("the server is overloaded or stopping; try again later")]
    Overloaded,
    /// The deadline has passed.
    #[error("{0}")]
    DeadlineExceeded(Deadline),
    /// The call used up its CPU time.
    #[error("the model used up its {} ms of CPU time", .0.as_millis())]
    CpuTimeExceeded(Duration),
    /// The tenant's store can be neither read nor written now.
    #[error("the server cannot keep this tenant's data at present; try again later")]
    StoreUnavailable(String),
    /// A fault of the host.
    #[error("the server failed to handle this request; its log has the details")]
    Internal(String),
}

/// A quota of a tenant is used up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this tenant's quota of {limit} for {quota} is used up")]
pub struct QuotaExceeded {
    /// Name of the quota in `wardian.toml`.
    pub quota: &'static str,
    /// Limit of the quota.
    pub limit: u64,
    /// Seconds until a retry may succeed; 0 if it cannot without a change.
    pub retry_after_seconds: u32,
}

impl InferError {
    /// Returns the details for the model's owner or the operator, if there are any.
    pub fn private_detail(&self) -> Option<&str> {
        match self {
            InferError::Trapped { detail } | InferError::OutOfMemory { detail, .. } => Some(detail),
            InferError::InterceptorFailed { detail, .. } => Some(detail),
            InferError::OversizedOutput(detail) => Some(detail),
            InferError::BadOutput(detail)
            | InferError::Failed(detail)
            | InferError::Internal(detail) => Some(detail),
            InferError::StoreUnavailable(detail) => Some(detail),
            _ => None,
        }
    }
}

/// Stage at which loading a version failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Running the tenant's interceptors on the version, first of all and again before it is
    /// published.
    Intercept,
    /// Reading its files and settings.
    Read,
    /// Checking the tenant's quotas.
    Quota,
    /// Checking the component's structure, imports and exports.
    Validate,
    /// Compiling the component.
    Compile,
    /// Calling the model's `load`.
    Load,
    /// Linking the component's imports.
    Link,
    /// Comparing the model's routes with its metadata, and with the tenant's other models.
    Routes,
    /// Running the migrations of the tenant's database.
    Migrate,
    /// Calling the model's `warm-up` and running the warm-up requests.
    WarmUp,
    /// Running the golden requests.
    Golden,
    /// Answering requests after publication.
    Serve,
    /// The host's own part: processes, files, and capacity for instances.
    Host,
    /// Writing files of the version to a full disk of the host.
    Disk,
}

impl Stage {
    /// True if no failure at this stage depends on the version, so that a retry may succeed.
    fn is_transient(self) -> bool {
        matches!(self, Stage::Read | Stage::Quota | Stage::Host | Stage::Disk)
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.write_str(match self {
            Stage::Intercept => "intercept",
            Stage::Read => "read",
            Stage::Quota => "quota",
            Stage::Validate => "validate",
            Stage::Compile => "compile",
            Stage::Load => "load",
            Stage::Link => "link",
            Stage::Routes => "routes",
            Stage::Migrate => "migrate",
            Stage::WarmUp => "warm-up",
            Stage::Golden => "golden",
            Stage::Serve => "serve",
            Stage::Host => "host",
            Stage::Disk => "disk",
        })
    }
}

/// Reason for a version that cannot serve. Shown to callers who may list the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {reason}")]
pub struct LoadError {
    /// Stage that failed.
    pub stage: Stage,
    /// Cause, with a remedy.
    pub reason: String,
    transient: bool,
}

impl LoadError {
    /// Creates an error. The reason may quote a guest or a file and is sanitized.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        let reason = sanitize_lines(&reason.into(), MAX_REASON);
        LoadError { stage, reason, transient: stage.is_transient() }
    }

    /// Creates an error for a call that failed while a version was loaded. A lack of capacity or
    /// quota has a stage of its own. A deadline that passed may be due to a busy machine, so it is
    /// a transient failure of `stage`.
    pub fn of_call(stage: Stage, error: &InferError, reason: impl Into<String>) -> Self {
        let stage = match error {
            InferError::Overloaded | InferError::StoreUnavailable(_) | InferError::Internal(_) => {
                Stage::Host
            }
            InferError::QuotaExceeded(_) => Stage::Quota,
            _ => stage,
        };

        let mut fault = LoadError::new(stage, reason);
        fault.transient |= matches!(error, InferError::DeadlineExceeded(_));
        fault
    }

    /// True if the failure does not depend on the version alone, so that a retry may succeed.
    pub fn is_transient(&self) -> bool {
        self.transient
    }
}

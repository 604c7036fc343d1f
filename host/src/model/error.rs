//! What goes wrong, in two enums: one for requests, one for loads.
//!
//! The `Display` text of an [`InferError`] is what a caller may read. What a guest said when it
//! died, or anything else that belongs to the model's owner, is in [`InferError::private`] and goes
//! to the log.

use std::time::Duration;

use super::{Deadline, sanitize_lines};

/// Bytes of the reason of a failed load.
const MAX_REASON: usize = 16 << 10;

/// Why a request was not answered.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InferError {
    /// The request is malformed or does not fit the model.
    #[error("{0}")]
    InvalidInput(String),
    /// The body is of a kind that is not read.
    #[error("{0}")]
    UnsupportedMedia(String),
    /// There is no such model or version for this tenant.
    #[error("there is no such model or version")]
    ModelNotFound,
    /// The body is larger than the limit.
    #[error("the request is larger than the {limit} bytes allowed")]
    RequestTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The model itself refused the input.
    #[error("{0}")]
    Rejected(String),
    /// As many requests wait as may.
    #[error("{limit} requests wait for this model already; try again later")]
    QueueFull {
        /// How many may wait.
        limit: u32,
    },
    /// The tenant holds as much as it may.
    #[error(transparent)]
    QuotaExceeded(#[from] QuotaExceeded),
    /// The guest trapped.
    #[error("the model stopped with a fault; its log has the details")]
    Trapped {
        /// What the engine and the guest said.
        detail: String,
    },
    /// The guest needed more memory than it may have.
    #[error("the model ran out of its {limit} bytes of memory")]
    OutOfMemory {
        /// The limit, in bytes.
        limit: u64,
        /// What the engine and the guest said.
        detail: String,
    },
    /// The model answered, but not as its metadata promises.
    #[error("the model's answer was not valid; its log has the details")]
    BadOutput(String),
    /// The model's answer is larger than its limits allow.
    #[error("the model's answer was not valid; its log has the details")]
    OversizedOutput(String),
    /// The parts of an answer are more than it may have; those before have been sent.
    #[error("the answer is longer than the {limit} bytes allowed")]
    ResponseTooLarge {
        /// The limit, in bytes.
        limit: u64,
    },
    /// The answer holds something that JSON cannot.
    #[error("the answer cannot be written as JSON: {0}; ask for binary output")]
    NotJson(String),
    /// An interceptor of the tenant's has refused the call.
    #[error("{message}")]
    Refused {
        /// The status that it has chosen, from 400 to 499, or 503.
        status: u16,
        /// Its words for the caller.
        message: String,
    },
    /// An interceptor of the tenant's has failed, and without it no call may pass.
    #[error("the interceptor '{name}' failed; its log has the details")]
    InterceptorFailed {
        /// Its name.
        name: String,
        /// What it did wrong.
        detail: String,
    },
    /// The model said that it failed.
    #[error("the model reported a failure; its log has the details")]
    Failed(String),
    /// The model is wanted but not serving now.
    #[error("the model is not ready: {0}")]
    NotReady(String),
    /// The version has done nothing but fail, and is given a rest.
    #[error(
        "the model keeps failing and is out of service for {retry_after_seconds} s; its log has the details"
    )]
    Suspended {
        /// When it is tried again.
        retry_after_seconds: u32,
    },
    /// The host has no room for another instance, or is stopping.
    #[error("the server is overloaded or stopping; try again later")]
    Overloaded,
    /// The request's time was up.
    #[error("{0}")]
    DeadlineExceeded(Deadline),
    /// The request's CPU time was up.
    #[error("the model used up its {} ms of CPU time", .0.as_millis())]
    CpuTimeExceeded(Duration),
    /// What the host keeps for the tenant can be neither read nor written now.
    #[error("the server cannot keep this tenant's data at present; try again later")]
    StoreUnavailable(String),
    /// A fault of the host's own.
    #[error("the server failed to handle this request; its log has the details")]
    Internal(String),
}

/// A tenant holds as much of something as it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this tenant's quota of {limit} for {quota} is used up")]
pub struct QuotaExceeded {
    /// Which quota, by its name in `wardian.toml`.
    pub quota: &'static str,
    /// How much it may hold.
    pub limit: u64,
    /// When it may be worth trying again; 0 if it is not, without a change.
    pub retry_after_seconds: u32,
}

impl InferError {
    /// What only the model's owner or the operator may read, if there is anything.
    pub fn private(&self) -> Option<&str> {
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

/// Where on its way to serving a version failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Asking the tenant's interceptors, before anything else and before it goes live.
    Intercept,
    /// Reading its files and settings.
    Read,
    /// Holding it against what its tenant may have.
    Quota,
    /// Checking the component's structure, imports and exports.
    Validate,
    /// Translating it to machine code.
    Compile,
    /// Running its `load`.
    Load,
    /// Linking it with what the host offers.
    Link,
    /// Bringing its tenant's database to where it needs it.
    Migrate,
    /// Running its `warm-up` and the warm-up requests.
    WarmUp,
    /// Comparing its answers with the golden requests.
    Golden,
    /// Answering requests, after it had gone live.
    Serve,
    /// The host's own part in all of that: its processes, its files, its room for instances.
    Host,
    /// Writing what it takes to a disk of the host, which is full.
    Disk,
}

impl Stage {
    /// Whether a failure here says nothing about the version, so that trying again may help.
    pub fn is_passing(self) -> bool {
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
            Stage::Migrate => "migrate",
            Stage::WarmUp => "warm-up",
            Stage::Golden => "golden",
            Stage::Serve => "serve",
            Stage::Host => "host",
            Stage::Disk => "disk",
        })
    }
}

/// Why a version cannot serve. Its reason is shown to whoever may list the repository.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{stage}: {reason}")]
pub struct LoadError {
    /// Where it failed.
    pub stage: Stage,
    /// Why, and what would mend it.
    pub reason: String,
}

impl LoadError {
    /// A failure at that stage. The reason may quote a guest or a file, so it is made safe to show.
    pub fn new(stage: Stage, reason: impl Into<String>) -> Self {
        LoadError { stage, reason: sanitize_lines(&reason.into(), MAX_REASON) }
    }
}

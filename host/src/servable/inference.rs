//! The result of a request with one response.

use std::time::Duration;

use super::AfterResponse;
use crate::model::InferResponse;

/// The response to a request, and the time that it took.
#[derive(Debug)]
pub struct Inference {
    /// The response.
    pub response: InferResponse,
    /// The time by phase.
    pub timings: Timings,
    /// Starts the request's deferred tasks when dropped; to be dropped once the response is sent.
    pub after_response: Option<AfterResponse>,
}

/// The time of a request by phase.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Waiting for the session and for the permit to run an instance.
    pub queue: Duration,
    /// Creating an instance or taking one from the pool.
    pub instance: Duration,
    /// The guest call.
    pub compute: Duration,
    /// The interceptors.
    pub interceptors: Duration,
}

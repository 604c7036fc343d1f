//! Who makes the calls.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, InferResponse, RequestId};

/// Makes the calls. A version that serves does it in an instance; a test does it without.
pub(in crate::servable) trait Caller: Send + Sync + 'static {
    /// The right to have an instance at work.
    type Place: Send + 'static;

    /// The right to make a call, if it can be had at once.
    fn try_place(&self) -> Option<Self::Place>;

    /// Waits for the right to make a call.
    fn place(&self) -> impl Future<Output = Result<Self::Place, InferError>> + Send;

    /// Makes a call with one request, and makes something of its answer, which may be large.
    fn one<T: Send + 'static>(
        self: &Arc<Self>,
        place: Self::Place,
        request: InferRequest,
        call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> impl Future<Output = Result<Called<T>, InferError>> + Send;

    /// The same with several requests side by side.
    fn several<T: Send + 'static>(
        self: &Arc<Self>,
        place: Self::Place,
        requests: Vec<InferRequest>,
        call: Call,
        then: impl FnOnce(Answers) -> Result<T, InferError> + Send + 'static,
    ) -> impl Future<Output = Result<Called<T>, InferError>> + Send;

    /// Makes a call for this call's budget.
    fn call(&self, budget: Budget, request_id: RequestId) -> Call;

    /// Notes that a call is made for so many requests.
    fn note_call(&self, requests: usize);

    /// Notes that a call with so many rows went well.
    fn note_execution(&self, rows: u64, instance: Duration, compute: Duration);

    /// Notes that a call for so many requests has failed, and that each is tried again by itself.
    fn note_failure(&self, requests: usize, error: &InferError);
}

/// What a call with several requests says to each.
pub(in crate::servable) type Answers = Vec<Result<InferResponse, InferError>>;

/// What has come of a call, and where the time went.
pub(in crate::servable) struct Called<T> {
    pub(in crate::servable) outcome: T,
    pub(in crate::servable) instance: Duration,
    pub(in crate::servable) compute: Duration,
}

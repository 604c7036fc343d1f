//! The interface through which the batcher calls the guest.

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use crate::engine::{Budget, Call};
use crate::model::{InferError, InferRequest, InferResponse, RequestId};
use crate::servable::guest_call::CallOutcome;

/// Runs the guest calls of a batcher. A servable runs them in instances; tests use a fake.
pub(in crate::servable) trait Runner: Send + Sync + 'static {
    /// The permit to run one instance.
    type Permit: Send + 'static;

    /// Returns a permit; `None` if the caller would have to wait.
    fn try_acquire(&self) -> Option<Self::Permit>;

    /// Waits for a permit.
    fn acquire(&self) -> impl Future<Output = Result<Self::Permit, InferError>> + Send;

    /// Runs a call with one request. `then` processes the response, which may be large.
    fn run_single<T: Send + 'static>(
        self: &Arc<Self>,
        permit: Self::Permit,
        request: InferRequest,
        call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> impl Future<Output = Result<CallOutcome<T>, InferError>> + Send;

    /// Runs a call with several requests side by side.
    fn run_batch<T: Send + 'static>(
        self: &Arc<Self>,
        permit: Self::Permit,
        requests: Vec<InferRequest>,
        call: Call,
        then: impl FnOnce(BatchResponses) -> Result<T, InferError> + Send + 'static,
    ) -> impl Future<Output = Result<CallOutcome<T>, InferError>> + Send;

    /// Returns a call with that budget.
    fn new_call(&self, budget: Budget, request_id: RequestId) -> Call;

    /// Counts a call for `requests` requests.
    fn record_call(&self, requests: usize);

    /// Counts a successful call with `rows` rows.
    fn record_execution(&self, rows: u64, instance: Duration, compute: Duration);

    /// Counts a failed call for `requests` requests, which are retried one by one.
    fn record_batch_failure(&self, requests: usize, error: &InferError);
}

/// One result for each request of a batch.
pub(in crate::servable) type BatchResponses = Vec<Result<InferResponse, InferError>>;

//! Answers requests with one response, alone or in a batch.

use std::sync::Arc;
use std::time::Duration;

use super::batching::{BatchResponses, Runner, self_check_batch};
use super::guest_call::CallOutcome;
use super::invocation::{Committed, Invocation};
use super::pool::Checkout;
use super::response_validator::response_validator;
use super::{Inference, InterceptorChain, Servable, ServableHandle, Timings};
use crate::box_future::box_future;
use crate::capability::{CallContext, yield_if_large};
use crate::engine::{Budget, Call, Instance, Interface};
use crate::model::{CallerInfo, InferError, InferRequest, InferResponse, ModelId, RequestId};

impl Servable {
    /// Answers one request within its budget.
    pub async fn infer(
        self: &ServableHandle,
        mut request: InferRequest,
        budget: Budget,
        caller: CallerInfo,
    ) -> Result<Inference, InferError> {
        self.metadata().fit_shapes(&mut request);
        let invocation = Invocation::new(self, &request, budget, caller);

        match self.active_interceptors() {
            None => self.infer_directly(invocation, request).await,
            // Boxed, so that requests without interceptors do not carry the space of this future.
            Some(chain) => box_future(|| self.infer_intercepted(chain, invocation, request)).await,
        }
    }

    /// Passes the request and its response through the interceptors.
    async fn infer_intercepted(
        self: &ServableHandle,
        chain: Arc<InterceptorChain>,
        mut invocation: Invocation<'_>,
        request: InferRequest,
    ) -> Result<Inference, InferError> {
        let (request, mut intercepted) = invocation.intercept(chain, request).await?;
        let mut inference = self.infer_directly(invocation, request).await?;

        inference.response = intercepted.run_after_hooks(inference.response).await?;
        inference.timings.interceptors = intercepted.took();
        Ok(inference)
    }

    async fn infer_directly(
        self: &ServableHandle,
        invocation: Invocation<'_>,
        request: InferRequest,
    ) -> Result<Inference, InferError> {
        let call = |request, call| self.batch_or_infer_single(request, call);
        let Committed { value: mut inference, session_wait, after_response } =
            invocation.run(request, call).await?;

        inference.timings.queue += session_wait;
        inference.after_response = after_response;
        Ok(inference)
    }

    async fn batch_or_infer_single(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
    ) -> Result<Inference, InferError> {
        match &self.batcher {
            Some(batcher) if !self.bypasses_batcher(&request, &call) => {
                self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
                batcher.infer(self, request, call).await
            }
            _ => {
                let rows = self.metadata().rows(&request);
                let inference = self.infer_uncounted(request, call).await?;
                self.record_single_call(rows, &inference.timings);
                Ok(inference)
            }
        }
    }

    /// True if the request has a session, deferred tasks or interceptor values, which a call for
    /// several requests cannot hold.
    fn bypasses_batcher(&self, request: &InferRequest, call: &Call) -> bool {
        request.session.is_some()
            || call.context.tasks.is_some()
            || call.context.values.is_some() && self.template().has(Interface::CallValues)
    }

    /// Answers one request in a call of its own, without counting it in metrics: validation of a
    /// version is not traffic.
    pub async fn infer_uncounted(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
    ) -> Result<Inference, InferError> {
        let (checkout, queue) = self.check_out(&request, &call.budget).await?;
        let budget = call.budget.clone();
        let then = response_validator(self.template().metadata(), &request);

        let CallOutcome { outcome: response, instance, compute } =
            self.run_single(checkout, request, call, then).await?;

        if let Some(batcher) = &self.batcher {
            batcher.record_call_time(1, compute, &budget);
        }
        let timings = Timings { queue, instance, compute, ..Timings::default() };
        Ok(Inference { response, timings, after_response: None })
    }

    /// Runs a request twice in one call, if the model batches. Fails as the call does, and if there
    /// is not one response for each.
    pub async fn self_check_batch(
        self: &ServableHandle,
        request: &InferRequest,
        call: Call,
    ) -> Result<(), InferError> {
        let Some(batcher) = &self.batcher else { return Ok(()) };
        let checkout = self.pool.check_out(&self.factory, &call.budget).await?;
        self_check_batch(batcher, self, request, checkout, call).await
    }

    /// Counts a call for one request that the batcher did not make.
    pub(super) fn record_single_call(&self, rows: u64, timings: &Timings) {
        match self.batcher {
            Some(_) => self.record_call(1),
            None => self.metrics().counts.called(),
        }
        self.record_execution(rows, timings.instance, timings.compute);
    }
}

impl Runner for Servable {
    type Permit = Checkout;

    fn try_acquire(&self) -> Option<Checkout> {
        self.pool.try_check_out(&self.factory)
    }

    async fn acquire(&self) -> Result<Checkout, InferError> {
        self.pool.acquire(&self.factory).await
    }

    async fn run_single<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        request: InferRequest,
        call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        let body = async move |mut instance: Instance| {
            // The request is copied into the guest's memory.
            yield_if_large(request.size()).await;
            let outcome = instance.infer(request).await;
            (instance, outcome)
        };
        self.run_and_process(checkout, call, body, InferResponse::size, then).await
    }

    async fn run_batch<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        requests: Vec<InferRequest>,
        call: Call,
        then: impl FnOnce(BatchResponses) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        let body = async move |mut instance: Instance| {
            yield_if_large(requests.iter().map(InferRequest::size).sum()).await;
            let outcome = instance.infer_batch(requests).await;
            (instance, outcome)
        };
        self.run_and_process(checkout, call, body, batch_size, then).await
    }

    fn new_call(&self, budget: Budget, request_id: RequestId) -> Call {
        self.factory.call(budget, CallContext::for_request(request_id))
    }

    fn record_call(&self, requests: usize) {
        self.metrics().counts.called();
        self.metrics().batching(&self.metric_families, &self.id).called(requests);
    }

    fn record_execution(&self, rows: u64, instance: Duration, compute: Duration) {
        self.metrics().counts.executed(rows, instance, compute);
    }

    fn record_batch_failure(&self, requests: usize, error: &InferError) {
        self.metrics().batching(&self.metric_families, &self.id).failed();

        let ModelId { tenant, name, version } = self.id();
        let detail = error.private_detail();
        tracing::debug!(%tenant, model = %name, %version, requests, %error, detail, "a batch failed; its requests are retried one by one");
    }
}

/// Bytes of the responses of a batch.
fn batch_size(responses: &BatchResponses) -> u64 {
    responses.iter().flatten().map(InferResponse::size).sum()
}

//! The scheduler of a model that answers one request at a time: a checkout, a call, an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batching::{BatchResponses, CallOutcome, Runner, self_check_batch};
use super::breaker::RequestSource;
use super::pool::{Checkout, InstanceSource};
use super::{AfterResponse, InstanceFactory, InterceptorChain, Servable, ServableHandle};
use crate::capability::{CallContext, yield_if_large};
use crate::engine::{Budget, Call, Instance, Snapshot, Template};
use crate::model::{
    CallerInfo, InferError, InferRequest, InferResponse, Metadata, ModelId, RequestId, payload_size,
};

/// A model's answer, and where the time went.
#[derive(Debug)]
pub struct Inference {
    /// The answer.
    pub response: InferResponse,
    /// Where the time went.
    pub timings: Timings,
    /// What begins once the answer is on its way: dropped then.
    pub after_response: Option<AfterResponse>,
}

/// Where a request's time went.
#[derive(Clone, Copy, Debug, Default)]
pub struct Timings {
    /// Waiting for the right to have an instance at work.
    pub queue: Duration,
    /// Getting an instance: making one, or taking one from the pool.
    pub instance: Duration,
    /// The call itself.
    pub compute: Duration,
    /// The interceptors around it.
    pub interceptors: Duration,
}

impl Servable {
    /// Answers one request within its budget.
    pub async fn infer(
        self: &ServableHandle,
        mut request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
    ) -> Result<Inference, InferError> {
        self.metadata().fit_shapes(&mut request);
        let source = self.request_source(&asker, &request);
        match self.active_interceptors() {
            None => {
                self.attempt(request, budget, CallContext::for_request(asker.request_id), source)
                    .await
            }
            // Apart, so that who has no interceptors does not carry the room for them about.
            Some(chain) => {
                Box::pin(self.infer_intercepted(chain, request, budget, asker, source)).await
            }
        }
    }

    async fn infer_intercepted(
        self: &ServableHandle,
        chain: Arc<InterceptorChain>,
        request: InferRequest,
        budget: Budget,
        asker: CallerInfo,
        source: RequestSource,
    ) -> Result<Inference, InferError> {
        let request_id = asker.request_id.clone();
        let (request, mut passed) =
            chain.run_before_hooks(self, request, &budget, asker, source.clone()).await?;
        let scope = CallContext {
            values: Some(passed.values().clone()),
            ..CallContext::for_request(request_id)
        };
        let Inference { response, timings, after_response: afterwards } =
            self.attempt(request, budget, scope, source).await?;
        let response = passed.run_after_hooks(response).await?;
        Ok(Inference {
            response,
            timings: Timings { interceptors: passed.took(), ..timings },
            after_response: afterwards,
        })
    }

    /// What the breaker has to know of a request.
    pub(super) fn request_source(
        &self,
        asker: &CallerInfo,
        request: &InferRequest,
    ) -> RequestSource {
        RequestSource::new(asker, request, self.template().uses_sessions())
    }

    async fn attempt(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        scope: CallContext,
        source: RequestSource,
    ) -> Result<Inference, InferError> {
        // Before it waits for its session; and after that, because it may be the one that tries.
        self.breaker.check(&source)?;
        let mut undertaking =
            self.open_request_session(request.session.as_ref(), &budget, scope).await?;
        let attempt = self.breaker.admit(&source)?;
        let outcome =
            self.batch_or_infer_single(request, self.maker.call(budget, undertaking.scope())).await;
        attempt.record(&outcome);
        let mut answer = outcome?;
        answer.timings.queue += undertaking.lock_wait;
        answer.after_response = undertaking.commit(self).await?;
        Ok(answer)
    }

    /// Answers one request, together with others if the model takes several.
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
                let answer = self.infer_uncounted(request, call).await?;
                self.record_single_call(rows, &answer.timings);
                Ok(answer)
            }
        }
    }

    /// Counts a call for one request that the batcher did not make.
    pub(super) fn record_single_call(&self, rows: u64, timings: &Timings) {
        match self.batcher {
            Some(_) => self.record_call(1),
            None => self.metrics().counts.called(),
        }
        self.record_execution(rows, timings.instance, timings.compute);
    }

    /// Whether a request brings something of its own that a call for several would have nowhere to
    /// keep.
    fn bypasses_batcher(&self, request: &InferRequest, call: &Call) -> bool {
        request.session.is_some()
            || call.context.tasks.is_some()
            || call.context.values.is_some() && self.template().uses_call_values()
    }

    /// Answers one request by itself, without counting it: what is tried before a version goes live
    /// is no traffic.
    pub async fn infer_uncounted(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
    ) -> Result<Inference, InferError> {
        self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
        let arrived = Instant::now();
        let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
        let queue = arrived.elapsed();
        let (budget, then) =
            (call.budget.clone(), response_validator(self.template().metadata(), &request));
        let CallOutcome { outcome: response, instance, compute } =
            self.run_single(checkout, request, call, then).await?;
        if let Some(batcher) = &self.batcher {
            batcher.record_call_time(1, compute, &budget);
        }
        let timings = Timings { queue, instance, compute, ..Timings::default() };
        Ok(Inference { response, timings, after_response: None })
    }

    /// Answers a request twice in one call, if the model takes several. Fails as it does, and if
    /// its answer is not one for each.
    pub async fn self_check_batch(
        self: &ServableHandle,
        request: &InferRequest,
        call: Call,
    ) -> Result<(), InferError> {
        match &self.batcher {
            Some(batcher) => {
                let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
                self_check_batch(batcher, self, request, checkout, call).await
            }
            None => Ok(()),
        }
    }

    /// Asks an instance something, gives it back, and makes something of what it said, where that
    /// holds nobody up.
    pub(super) async fn run_on_instance<T, U, F>(
        self: &ServableHandle,
        checkout: Checkout,
        call: Call,
        ask: impl FnOnce(Instance) -> F + Send + 'static,
        then: impl FnOnce(T) -> Result<U, InferError> + Send + 'static,
    ) -> Result<CallOutcome<U>, InferError>
    where
        T: PayloadSize,
        U: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
    {
        let loaded = self.starts_loaded(&checkout);
        let InstanceFactory { template, threads, .. } = &self.maker;
        let (Checkout { source, place }, template, of_instance) =
            (checkout, template.clone(), call.clone());
        let work = async move {
            let started = Instant::now();
            let instance = acquire_instance(source, &template, of_instance).await?;
            let made = Instant::now();
            let (instance, outcome) = ask(instance).await;
            let compute = made.elapsed();
            place.give_back(instance);
            let said = outcome?;
            yield_if_large(said.bytes()).await;
            Ok(CallOutcome { outcome: then(said)?, instance: made - started, compute })
        };
        if loaded { threads.run(&call, work).await } else { threads.run_long(&call, work).await }
    }

    /// Whether a call can begin at once. One that begins by loading is no work for a thread that
    /// serves HTTP.
    pub(super) fn starts_loaded(&self, checkout: &Checkout) -> bool {
        matches!(checkout.source, InstanceSource::Idle(_))
            || *self.maker.template.snapshot() == Snapshot::Taken
    }
}

impl Runner for Servable {
    type Permit = Checkout;

    fn try_acquire(&self) -> Option<Checkout> {
        self.pool.try_check_out(&self.maker)
    }

    async fn acquire(&self) -> Result<Checkout, InferError> {
        self.pool.acquire(&self.maker).await
    }

    async fn run_single<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        request: InferRequest,
        call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        let ask = async move |mut instance: Instance| {
            // It is copied into the guest's memory.
            yield_if_large(request.bytes()).await;
            let outcome = match instance.migrate_session_state().await {
                Ok(()) => instance.infer(request).await,
                Err(error) => Err(error),
            };
            (instance, outcome)
        };
        self.run_on_instance(checkout, call, ask, then).await
    }

    async fn run_batch<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        requests: Vec<InferRequest>,
        call: Call,
        then: impl FnOnce(BatchResponses) -> Result<T, InferError> + Send + 'static,
    ) -> Result<CallOutcome<T>, InferError> {
        let ask = async move |mut instance: Instance| {
            yield_if_large(requests.iter().map(PayloadSize::bytes).sum()).await;
            let outcome = instance.infer_batch(requests).await;
            (instance, outcome)
        };
        self.run_on_instance(checkout, call, ask, then).await
    }

    fn new_call(&self, budget: Budget, request_id: RequestId) -> Call {
        self.maker.call(budget, CallContext::for_request(request_id))
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
        let (ModelId { tenant, name, version }, detail) = (self.id(), error.private_detail());
        tracing::debug!(%tenant, model = %name, %version, requests, %error, detail, "a batch failed; each goes alone");
    }
}

/// What an instance says, which somebody has to look at.
pub(super) trait PayloadSize: Send + 'static {
    /// How much it is.
    fn bytes(&self) -> u64;
}

impl PayloadSize for InferResponse {
    fn bytes(&self) -> u64 {
        self.size()
    }
}

impl PayloadSize for InferRequest {
    fn bytes(&self) -> u64 {
        payload_size(&self.inputs, &self.parameters)
    }
}

impl PayloadSize for BatchResponses {
    fn bytes(&self) -> u64 {
        self.iter().flatten().map(InferResponse::size).sum()
    }
}

/// Holds the answer to a request against the metadata and drops what was not asked for.
pub(super) fn response_validator(
    metadata: &Arc<Metadata>,
    request: &InferRequest,
) -> impl FnOnce(InferResponse) -> Result<InferResponse, InferError> + Send + use<> {
    let (metadata, wanted) = (metadata.clone(), request.outputs.clone());
    move |response| validate_response(&metadata, &wanted, response)
}

/// Holds the answer against the metadata and drops what was not asked for.
pub(super) fn validate_response(
    metadata: &Metadata,
    wanted: &[String],
    mut response: InferResponse,
) -> Result<InferResponse, InferError> {
    metadata.check_response(wanted, &response).map_err(InferError::BadOutput)?;
    if !wanted.is_empty() {
        response.outputs.retain(|tensor| wanted.contains(&tensor.name));
    }
    Ok(response)
}

/// The instance that a call runs in.
pub(super) async fn acquire_instance(
    source: InstanceSource,
    template: &Template,
    call: Call,
) -> Result<Instance, InferError> {
    match source {
        InstanceSource::Idle(mut instance) => {
            instance.begin_call(call);
            Ok(*instance)
        }
        InstanceSource::New(permit) => Instance::new(template, call, permit).await,
    }
}

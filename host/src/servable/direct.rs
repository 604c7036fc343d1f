//! The scheduler of a model that answers one request at a time: a checkout, a call, an answer.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batching::{Answers, Called, Caller, twice};
use super::breaker::RequestSource;
use super::pool::{Checkout, Source};
use super::{Afterwards, Chain, Maker, Servable, ServableHandle};
use crate::capability::{Scope, step_aside};
use crate::engine::{Budget, Call, Instance, Snapshot, Template};
use crate::model::{
    Asker, InferError, InferRequest, InferResponse, Metadata, ModelId, RequestId, size_of,
};

/// A model's answer, and where the time went.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub response: InferResponse,
    /// Where the time went.
    pub timings: Timings,
    /// What begins once the answer is on its way: dropped then.
    pub afterwards: Option<Afterwards>,
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
        asker: Asker,
    ) -> Result<Answer, InferError> {
        self.metadata().fit(&mut request);
        let source = self.source(&asker, &request);
        match self.chain() {
            None => {
                self.attempt(request, budget, Scope::of_request(asker.request_id), source).await
            }
            // Apart, so that who has no interceptors does not carry the room for them about.
            Some(chain) => {
                Box::pin(self.infer_wrapped(chain, request, budget, asker, source)).await
            }
        }
    }

    async fn infer_wrapped(
        self: &ServableHandle,
        chain: Arc<Chain>,
        request: InferRequest,
        budget: Budget,
        asker: Asker,
        source: RequestSource,
    ) -> Result<Answer, InferError> {
        let request_id = asker.request_id.clone();
        let (request, mut passed) =
            chain.before(self, request, &budget, asker, source.clone()).await?;
        let scope =
            Scope { values: Some(passed.values().clone()), ..Scope::of_request(request_id) };
        let Answer { response, timings, afterwards } =
            self.attempt(request, budget, scope, source).await?;
        let response = passed.after(response).await?;
        Ok(Answer {
            response,
            timings: Timings { interceptors: passed.took(), ..timings },
            afterwards,
        })
    }

    /// What the breaker has to know of a request.
    pub(super) fn source(&self, asker: &Asker, request: &InferRequest) -> RequestSource {
        RequestSource::of(asker, request, self.template().uses_sessions())
    }

    async fn attempt(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        scope: Scope,
        source: RequestSource,
    ) -> Result<Answer, InferError> {
        // Before it waits for its session; and after that, because it may be the one that tries.
        self.breaker.check(&source)?;
        let mut undertaking = self.undertake(request.sequence.as_ref(), &budget, scope).await?;
        let attempt = self.breaker.admit(&source)?;
        let outcome = self.schedule(request, self.maker.call(budget, undertaking.scope())).await;
        attempt.conclude(&outcome);
        let mut answer = outcome?;
        answer.timings.queue += undertaking.waited;
        answer.afterwards = undertaking.keep(self).await?;
        Ok(answer)
    }

    /// Answers one request, together with others if the model takes several.
    async fn schedule(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
    ) -> Result<Answer, InferError> {
        match &self.batcher {
            Some(batcher) if !self.goes_alone(&request, &call) => {
                self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
                batcher.answer(self, request, call).await
            }
            _ => {
                let rows = self.metadata().rows(&request);
                let answer = self.answer(request, call).await?;
                self.note_lone_call(rows, &answer.timings);
                Ok(answer)
            }
        }
    }

    /// Counts a call for one request that the batcher did not make.
    pub(super) fn note_lone_call(&self, rows: u64, timings: &Timings) {
        match self.batcher {
            Some(_) => self.note_call(1),
            None => self.metrics().counts.called(),
        }
        self.note_execution(rows, timings.instance, timings.compute);
    }

    /// Whether a request brings something of its own that a call for several would have nowhere to
    /// keep.
    fn goes_alone(&self, request: &InferRequest, call: &Call) -> bool {
        request.sequence.is_some()
            || call.scope.tasks.is_some()
            || call.scope.values.is_some() && self.template().uses_call_values()
    }

    /// Answers one request by itself, without counting it: what is tried before a version goes live
    /// is no traffic.
    pub async fn answer(
        self: &ServableHandle,
        request: InferRequest,
        call: Call,
    ) -> Result<Answer, InferError> {
        self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
        let arrived = Instant::now();
        let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
        let queue = arrived.elapsed();
        let (budget, then) =
            (call.budget.clone(), as_promised(self.template().metadata(), &request));
        let Called { outcome: response, instance, compute } =
            self.one(checkout, request, call, then).await?;
        if let Some(batcher) = &self.batcher {
            batcher.note_usual(1, compute, &budget);
        }
        let timings = Timings { queue, instance, compute, ..Timings::default() };
        Ok(Answer { response, timings, afterwards: None })
    }

    /// Answers a request twice in one call, if the model takes several. Fails as it does, and if
    /// its answer is not one for each.
    pub async fn answer_twice(
        self: &ServableHandle,
        request: &InferRequest,
        call: Call,
    ) -> Result<(), InferError> {
        match &self.batcher {
            Some(batcher) => {
                let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
                twice(batcher, self, request, checkout, call).await
            }
            None => Ok(()),
        }
    }

    /// Asks an instance something, gives it back, and makes something of what it said, where that
    /// holds nobody up.
    pub(super) async fn ask<T, U, F>(
        self: &ServableHandle,
        checkout: Checkout,
        call: Call,
        ask: impl FnOnce(Instance) -> F + Send + 'static,
        then: impl FnOnce(T) -> Result<U, InferError> + Send + 'static,
    ) -> Result<Called<U>, InferError>
    where
        T: Said,
        U: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
    {
        let loaded = self.begins_loaded(&checkout);
        let Maker { template, threads, .. } = &self.maker;
        let (Checkout { source, place }, template, of_instance) =
            (checkout, template.clone(), call.clone());
        let work = async move {
            let started = Instant::now();
            let instance = begin(source, &template, of_instance).await?;
            let made = Instant::now();
            let (instance, outcome) = ask(instance).await;
            let compute = made.elapsed();
            place.give_back(instance);
            let said = outcome?;
            step_aside(said.bytes()).await;
            Ok(Called { outcome: then(said)?, instance: made - started, compute })
        };
        if loaded { threads.run(&call, work).await } else { threads.run_long(&call, work).await }
    }

    /// Whether a call can begin at once. One that begins by loading is no work for a thread that
    /// serves HTTP.
    pub(super) fn begins_loaded(&self, checkout: &Checkout) -> bool {
        matches!(checkout.source, Source::Idle(_))
            || *self.maker.template.snapshot() == Snapshot::Taken
    }
}

impl Caller for Servable {
    type Place = Checkout;

    fn try_place(&self) -> Option<Checkout> {
        self.pool.try_check_out(&self.maker)
    }

    async fn place(&self) -> Result<Checkout, InferError> {
        self.pool.take(&self.maker).await
    }

    async fn one<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        request: InferRequest,
        call: Call,
        then: impl FnOnce(InferResponse) -> Result<T, InferError> + Send + 'static,
    ) -> Result<Called<T>, InferError> {
        let ask = async move |mut instance: Instance| {
            // It is copied into the guest's memory.
            step_aside(request.bytes()).await;
            let outcome = match instance.bring_session_forward().await {
                Ok(()) => instance.infer(request).await,
                Err(error) => Err(error),
            };
            (instance, outcome)
        };
        self.ask(checkout, call, ask, then).await
    }

    async fn several<T: Send + 'static>(
        self: &ServableHandle,
        checkout: Checkout,
        requests: Vec<InferRequest>,
        call: Call,
        then: impl FnOnce(Answers) -> Result<T, InferError> + Send + 'static,
    ) -> Result<Called<T>, InferError> {
        let ask = async move |mut instance: Instance| {
            step_aside(requests.iter().map(Said::bytes).sum()).await;
            let outcome = instance.infer_batch(requests).await;
            (instance, outcome)
        };
        self.ask(checkout, call, ask, then).await
    }

    fn call(&self, budget: Budget, request_id: RequestId) -> Call {
        self.maker.call(budget, Scope::of_request(request_id))
    }

    fn note_call(&self, requests: usize) {
        self.metrics().counts.called();
        self.metrics().batching(&self.families, &self.id).called(requests);
    }

    fn note_execution(&self, rows: u64, instance: Duration, compute: Duration) {
        self.metrics().counts.executed(rows, instance, compute);
    }

    fn note_failure(&self, requests: usize, error: &InferError) {
        self.metrics().batching(&self.families, &self.id).failed();
        let (ModelId { tenant, name, version }, detail) = (self.id(), error.private());
        tracing::debug!(%tenant, model = %name, %version, requests, %error, detail, "a batch failed; each goes alone");
    }
}

/// What an instance says, which somebody has to look at.
pub(super) trait Said: Send + 'static {
    /// How much it is.
    fn bytes(&self) -> u64;
}

impl Said for InferResponse {
    fn bytes(&self) -> u64 {
        self.size()
    }
}

impl Said for InferRequest {
    fn bytes(&self) -> u64 {
        size_of(&self.inputs, &self.parameters)
    }
}

impl Said for Answers {
    fn bytes(&self) -> u64 {
        self.iter().flatten().map(InferResponse::size).sum()
    }
}

/// Holds the answer to a request against the metadata and drops what was not asked for.
pub(super) fn as_promised(
    metadata: &Arc<Metadata>,
    request: &InferRequest,
) -> impl FnOnce(InferResponse) -> Result<InferResponse, InferError> + Send + use<> {
    let (metadata, wanted) = (metadata.clone(), request.outputs.clone());
    move |response| promised(&metadata, &wanted, response)
}

/// Holds the answer against the metadata and drops what was not asked for.
pub(super) fn promised(
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
pub(super) async fn begin(
    source: Source,
    template: &Template,
    call: Call,
) -> Result<Instance, InferError> {
    match source {
        Source::Idle(mut instance) => {
            instance.begin_call(call);
            Ok(*instance)
        }
        Source::New(permit) => Instance::new(template, call, permit).await,
    }
}

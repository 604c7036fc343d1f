//! The scheduler of a model that answers one request at a time: a checkout, a call, an answer.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::pool::{Checkout, Source};
use super::{Chain, Maker, Servable, ServableHandle};
use crate::capability::Scope;
use crate::engine::{Budget, Call, Instance, Snapshot, Template};
use crate::model::{Asker, InferError, InferRequest, InferResponse};

/// A model's answer, and where the time went.
#[derive(Debug)]
pub struct Answer {
    /// The answer.
    pub response: InferResponse,
    /// Where the time went.
    pub timings: Timings,
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
        request: InferRequest,
        budget: Budget,
        asker: Asker,
    ) -> Result<Answer, InferError> {
        let outcome = match self.chain() {
            None => self.attempt(request, budget, Scope::of_request(asker.request_id)).await,
            // Apart, so that who has no interceptors does not carry the room for them about.
            Some(chain) => Box::pin(self.infer_wrapped(chain, request, budget, asker)).await,
        };
        match &outcome {
            Ok(answer) => self.metrics().succeeded(&answer.timings),
            Err(error) => self.metrics().failed(error),
        }
        outcome
    }

    async fn infer_wrapped(
        self: &ServableHandle,
        chain: Arc<Chain>,
        request: InferRequest,
        budget: Budget,
        asker: Asker,
    ) -> Result<Answer, InferError> {
        let request_id = asker.request_id.clone();
        let (request, mut passed) = chain.before(self, request, &budget, asker).await?;
        let scope = Scope { values: Some(passed.values().clone()), ..Scope::of_request(request_id) };
        let Answer { response, timings } = self.attempt(request, budget, scope).await?;
        let response = passed.after(response).await?;
        Ok(Answer { response, timings: Timings { interceptors: passed.took(), ..timings } })
    }

    async fn attempt(
        self: &ServableHandle,
        request: InferRequest,
        budget: Budget,
        scope: Scope,
    ) -> Result<Answer, InferError> {
        let attempt = self.breaker.admit()?;
        let outcome = self.answer(request, self.maker.call(budget, scope)).await;
        attempt.conclude(&outcome);
        outcome
    }

    /// Answers one request without counting it: what is tried before a version goes live is no traffic.
    pub async fn answer(self: &ServableHandle, request: InferRequest, call: Call) -> Result<Answer, InferError> {
        self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
        let arrived = Instant::now();
        let checkout = self.pool.check_out(&self.maker, &call.budget).await?;
        let queue = arrived.elapsed();
        let wanted = request.outputs.clone();
        let (response, instance, compute) = self.compute(checkout, request, call).await?;
        let response = self.promised(&wanted, response)?;
        Ok(Answer { response, timings: Timings { queue, instance, compute, ..Timings::default() } })
    }

    async fn compute(
        self: &ServableHandle,
        checkout: Checkout,
        request: InferRequest,
        call: Call,
    ) -> Result<(InferResponse, Duration, Duration), InferError> {
        let loaded = self.begins_loaded(&checkout);
        let Maker { template, threads, .. } = &self.maker;
        let work = work(template.clone(), checkout, request, call.clone());
        if loaded { threads.run(&call, work).await } else { threads.run_long(&call, work).await }
    }

    /// Whether a call can begin at once. One that begins by loading is no work for a thread that serves HTTP.
    pub(super) fn begins_loaded(&self, checkout: &Checkout) -> bool {
        matches!(checkout.source, Source::Idle(_)) || *self.maker.template.snapshot() == Snapshot::Taken
    }

    /// Holds the answer against the metadata and drops what was not asked for.
    fn promised(&self, wanted: &[String], mut response: InferResponse) -> Result<InferResponse, InferError> {
        self.metadata().check_response(wanted, &response).map_err(InferError::BadOutput)?;
        if !wanted.is_empty() {
            response.outputs.retain(|tensor| wanted.contains(&tensor.name));
        }
        Ok(response)
    }
}

async fn work(
    template: Template,
    Checkout { source, place }: Checkout,
    request: InferRequest,
    call: Call,
) -> Result<(InferResponse, Duration, Duration), InferError> {
    let started = Instant::now();
    let mut instance = begin(source, &template, call).await?;
    let made = Instant::now();
    let response = instance.infer(request).await;
    let compute = made.elapsed();
    place.give_back(instance);
    Ok((response?, made - started, compute))
}

/// The instance that a call runs in.
pub(super) async fn begin(source: Source, template: &Template, call: Call) -> Result<Instance, InferError> {
    match source {
        Source::Idle(mut instance) => {
            instance.begin_call(call);
            Ok(*instance)
        }
        Source::New(permit) => Instance::new(template, call, permit).await,
    }
}

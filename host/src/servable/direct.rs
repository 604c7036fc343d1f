//! The scheduler of a model that answers one request at a time: a checkout, a call, an answer.

use std::time::{Duration, Instant};

use super::pool::Checkout;
use super::{Servable, ServableHandle};
use crate::engine::{Budget, Instance, Snapshot, Template};
use crate::model::{InferError, InferRequest, InferResponse};

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
}

impl Servable {
    /// Answers one request within its budget.
    pub async fn infer(self: &ServableHandle, request: InferRequest, budget: Budget) -> Result<Answer, InferError> {
        let outcome = self.answer(request, budget).await;
        match &outcome {
            Ok(answer) => self.metrics().succeeded(&answer.timings),
            Err(error) => self.metrics().failed(error),
        }
        outcome
    }

    /// Answers one request without counting it: what is tried before a version goes live is no traffic.
    pub async fn answer(self: &ServableHandle, request: InferRequest, budget: Budget) -> Result<Answer, InferError> {
        self.metadata().check_request(&request).map_err(InferError::InvalidInput)?;
        let arrived = Instant::now();
        let checkout = self.pool.check_out(&budget).await?;
        let queue = arrived.elapsed();
        let wanted = request.outputs.clone();
        let (response, instance, compute) = self.compute(checkout, request, budget).await?;
        let response = self.promised(&wanted, response)?;
        Ok(Answer { response, timings: Timings { queue, instance, compute } })
    }

    async fn compute(
        self: &ServableHandle,
        checkout: Checkout,
        request: InferRequest,
        budget: Budget,
    ) -> Result<(InferResponse, Duration, Duration), InferError> {
        let template = self.template.clone();
        let call = call(template, checkout, request, budget.clone());
        match self.template.snapshot() {
            Snapshot::Taken => self.threads.run(budget, call).await,
            // It begins by loading, which is no work for a thread that serves HTTP.
            Snapshot::Impossible(_) => self.threads.run_long(budget, call).await,
        }
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

async fn call(
    template: Template,
    checkout: Checkout,
    request: InferRequest,
    budget: Budget,
) -> Result<(InferResponse, Duration, Duration), InferError> {
    let started = Instant::now();
    let mut instance = match checkout.take() {
        Some(mut instance) => {
            instance.begin_call(budget);
            instance
        }
        None => Instance::new(&template, budget).await?,
    };
    let made = Instant::now();
    let response = instance.infer(request).await;
    let compute = made.elapsed();
    checkout.give_back(instance);
    Ok((response?, made - started, compute))
}

//! A guest call: takes an instance, runs on it, and returns it to the pool.
//!
//! Responses, streams, interceptors and deferred tasks differ only in the closures that they pass
//! to [`Servable::run_on_instance`].

use std::future::Future;
use std::time::{Duration, Instant};

use super::Servable;
use super::pool::{Checkout, InstanceSource};
use crate::capability::yield_if_large;
use crate::engine::{Budget, Call, Instance, Snapshot, Template};
use crate::model::{InferError, InferRequest};

/// The outcome of a guest call, with the time to get the instance and the time in the guest.
pub(super) struct CallOutcome<T> {
    pub(super) outcome: T,
    pub(super) instance: Duration,
    pub(super) compute: Duration,
}

/// The thread on which a call starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartOn {
    /// The current thread, unless the call begins by loading the model.
    CurrentThread,
    /// A guest thread, because no caller waits for the result.
    GuestThread,
}

impl Servable {
    /// Checks a request against the metadata and waits for an instance. Returns the checkout and
    /// the time spent waiting.
    pub(super) async fn check_out(
        &self,
        request: &InferRequest,
        budget: &Budget,
    ) -> Result<(Checkout, Duration), InferError> {
        self.metadata().check_request(request).map_err(InferError::InvalidInput)?;

        let arrived = Instant::now();
        let checkout = self.pool.check_out(&self.factory, budget).await?;
        Ok((checkout, arrived.elapsed()))
    }

    /// Runs `body` on the instance of a checkout, and returns the instance to the pool. `body`
    /// takes the instance and the time that it took to get it. `finish` processes the outcome of
    /// `body` without holding the instance. A call in a session first migrates the session's state.
    pub(super) async fn run_on_instance<T, U, F, G>(
        &self,
        checkout: Checkout,
        call: Call,
        start: StartOn,
        body: impl FnOnce(Instance, Duration) -> F + Send + 'static,
        finish: impl FnOnce(Result<T, InferError>) -> G + Send + 'static,
    ) -> Result<CallOutcome<U>, InferError>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
        G: Future<Output = Result<U, InferError>> + Send + 'static,
    {
        let on_current_thread = start == StartOn::CurrentThread && self.starts_loaded(&checkout);
        let threads = &self.factory.threads;
        let template = self.template().clone();
        let instance_call = call.clone();

        let work = async move {
            let Checkout { source, permit } = checkout;
            let started = Instant::now();
            let mut instance = acquire_instance(source, &template, instance_call).await?;
            let acquired = Instant::now();
            let instance_time = acquired - started;

            let (instance, outcome) = match instance.migrate_session_state().await {
                Ok(()) => body(instance, instance_time).await,
                Err(error) => (instance, Err(error)),
            };
            let compute = acquired.elapsed();

            permit.give_back(instance).await;
            Ok(CallOutcome { outcome: finish(outcome).await?, instance: instance_time, compute })
        };

        match on_current_thread {
            true => threads.run(&call, work).await,
            false => threads.run_long(&call, work).await,
        }
    }

    /// Runs `body` on the instance of a checkout, and processes its output with `then` off the HTTP
    /// threads if it is large. `size` returns the bytes of the output.
    pub(super) async fn run_and_process<T, U, F>(
        &self,
        checkout: Checkout,
        call: Call,
        body: impl FnOnce(Instance) -> F + Send + 'static,
        size: fn(&T) -> u64,
        then: impl FnOnce(T) -> Result<U, InferError> + Send + 'static,
    ) -> Result<CallOutcome<U>, InferError>
    where
        T: Send + 'static,
        U: Send + 'static,
        F: Future<Output = (Instance, Result<T, InferError>)> + Send + 'static,
    {
        let body = move |instance, _| body(instance);
        let finish = async move |outcome: Result<T, InferError>| {
            let output = outcome?;
            yield_if_large(size(&output)).await;
            then(output)
        };
        self.run_on_instance(checkout, call, StartOn::CurrentThread, body, finish).await
    }

    /// True if the instance of a checkout starts loaded. Loading a model is too long for an HTTP
    /// thread.
    fn starts_loaded(&self, checkout: &Checkout) -> bool {
        matches!(checkout.source, InstanceSource::Idle(_))
            || *self.template().snapshot() == Snapshot::Taken
    }
}

/// Prepares an idle instance for a call, or creates one.
async fn acquire_instance(
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

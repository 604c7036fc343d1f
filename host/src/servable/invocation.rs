//! The steps that every guest call of a request shares.
//!
//! A request passes the interceptors ([`Invocation::intercept`]), the circuit breaker and its
//! session's lock, makes its call, and commits the session ([`Invocation::run`]). The call itself
//! takes an instance, runs on it and returns it to the pool ([`Servable::run_on_instance`]).
//! Responses, streams and deferred tasks differ only in the closures that they pass.

use std::future::Future;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::batching::CallOutcome;
use super::breaker::RequestSource;
use super::interceptors::{InterceptedRequest, InterceptorChain};
use super::pool::{Checkout, InstanceSource};
use super::{AfterResponse, Servable, ServableHandle};
use crate::capability::{CallContext, Emitter, yield_if_large};
use crate::engine::{Budget, Call, Instance, Interface, Snapshot, Template};
use crate::model::{CallerInfo, InferError, InferRequest};

/// A request to a servable before its guest call.
pub(super) struct Invocation<'a> {
    servable: &'a ServableHandle,
    source: RequestSource,
    budget: Budget,
    context: CallContext,
}

/// The value of a successful call whose session is committed.
pub(super) struct Committed<T> {
    pub(super) value: T,
    /// Time spent waiting for the session.
    pub(super) session_wait: Duration,
    pub(super) after_response: Option<AfterResponse>,
}

/// The thread on which a call starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartOn {
    /// The current thread, unless the call begins by loading the model.
    CurrentThread,
    /// A guest thread, because no caller waits for the result.
    GuestThread,
}

impl<'a> Invocation<'a> {
    pub(super) fn new(
        servable: &'a ServableHandle,
        request: &InferRequest,
        budget: Budget,
        caller: CallerInfo,
    ) -> Self {
        let source =
            RequestSource::new(&caller, request, servable.template().has(Interface::Session));
        let context = CallContext::for_request(caller.request_id);
        Invocation { servable, source, budget, context }
    }

    /// Makes the call send its response parts to `emitter`.
    pub(super) fn with_emitter(mut self, emitter: Emitter) -> Self {
        self.context.emitter = Some(emitter);
        self
    }

    /// Passes the request through the interceptors. Fails with the refusal or failure of the first
    /// interceptor that does not admit it.
    pub(super) async fn intercept(
        &mut self,
        chain: Arc<InterceptorChain>,
        request: InferRequest,
    ) -> Result<(InferRequest, InterceptedRequest), InferError> {
        let caller = CallerInfo {
            request_id: self.context.request_id.clone(),
            key: self.source.caller().clone(),
        };
        let source = self.source.clone();
        let (request, intercepted) =
            chain.run_before_hooks(self.servable, request, &self.budget, caller, source).await?;

        self.context.values = Some(intercepted.values().clone());
        Ok((request, intercepted))
    }

    /// Makes the call once the circuit breaker admits the request and its session is locked, and
    /// commits the session and the deferred tasks if the call succeeds.
    pub(super) async fn run<T, F>(
        self,
        request: InferRequest,
        call: impl FnOnce(InferRequest, Call) -> F,
    ) -> Result<Committed<T>, InferError>
    where
        F: Future<Output = Result<T, InferError>>,
    {
        let Invocation { servable, source, budget, context } = self;

        // Checked before the wait for the session, and admitted after it, because an admitted
        // request may be the breaker's probe.
        servable.breaker.check(&source)?;
        let mut session =
            servable.open_request_session(request.session.as_ref(), &budget, context).await?;
        let attempt = servable.breaker.admit(&source)?;

        let outcome = call(request, servable.factory.call(budget, session.take_context())).await;
        attempt.record(&outcome);
        let value = outcome?;

        let session_wait = session.session_wait;
        let after_response = session.commit(servable).await?;
        Ok(Committed { value, session_wait, after_response })
    }
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

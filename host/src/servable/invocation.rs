//! The steps around the guest call of a request.
//!
//! A request passes the interceptors ([`Invocation::intercept`]), the circuit breaker and its
//! session's lock, makes its call, and commits the session ([`Invocation::run`]). Responses and
//! streams differ only in the closure that makes the call; see [`guest_call`](super::guest_call).

use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use super::breaker::RequestSource;
use super::interceptors::{InterceptedRequest, InterceptorChain};
use super::{AfterResponse, ServableHandle};
use crate::capability::{CallContext, Emitter};
use crate::engine::{Budget, Call, Interface};
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

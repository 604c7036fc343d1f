//! Passes one request through the interceptors, and its response back through them in reverse
//! order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::InterceptorChain;
use super::interceptor_call::InterceptorCall;
use crate::capability::{CallContext, CallValues};
use crate::engine::{Budget, Instance, InterceptorContext};
use crate::model::{CallerInfo, InferError, InferRequest, InferResponse, Tensor};
use crate::servable::breaker::RequestSource;
use crate::servable::{Servable, ServableHandle};

/// A request that all interceptors have admitted. They process the response too, in reverse order.
pub struct InterceptedRequest {
    chain: Arc<InterceptorChain>,
    model: ServableHandle,
    context: Arc<InterceptorContext>,
    source: RequestSource,
    budget: Budget,
    values: Arc<CallValues>,
    /// Outputs requested by the caller, and those requested from the model.
    requested_outputs: Vec<String>,
    model_outputs: Vec<String>,
    /// Time spent in interceptors so far.
    took: Duration,
}

impl InterceptorChain {
    /// Passes a request for `model` through all interceptors, within the request's budget. Fails
    /// with the refusal or failure of the first interceptor that does not admit it.
    pub(in crate::servable) async fn run_before_hooks(
        self: Arc<Self>,
        model: &ServableHandle,
        mut request: InferRequest,
        budget: &Budget,
        caller: CallerInfo,
        source: RequestSource,
    ) -> Result<(InferRequest, InterceptedRequest), InferError> {
        self.check_open()?;
        let started = Instant::now();

        let mut intercepted =
            InterceptedRequest::new(self, model, &request, budget, caller, source);
        // An interceptor is not to blame for a request that was invalid before.
        let sound = model.metadata().check_request(&request).is_ok();

        for interceptor in &intercepted.chain.interceptors {
            let context = intercepted.context.clone();
            let hook = async move |mut instance: Instance| {
                let outcome = instance.before_call(&context, request).await;
                (instance, outcome)
            };
            let model = model.clone();
            let check = move |request: &InferRequest| check_request(&model, request, sound);
            request = intercepted
                .interceptor_call(interceptor, false)
                .run(hook, InferRequest::size, check)
                .await?;
        }

        intercepted.model_outputs.clone_from(&request.outputs);
        intercepted.took = started.elapsed();
        Ok((request, intercepted))
    }
}

impl InterceptedRequest {
    fn new(
        chain: Arc<InterceptorChain>,
        model: &ServableHandle,
        request: &InferRequest,
        budget: &Budget,
        caller: CallerInfo,
        source: RequestSource,
    ) -> Self {
        let CallerInfo { request_id, key } = caller;
        InterceptedRequest {
            chain,
            model: model.clone(),
            context: Arc::new(InterceptorContext { id: model.id().clone(), request_id, key }),
            source,
            budget: budget.clone(),
            values: Arc::new(CallValues::new(model.factory().tenant())),
            requested_outputs: request.outputs.clone(),
            model_outputs: Vec::new(),
            took: Duration::ZERO,
        }
    }

    /// The values that the interceptors of this call share.
    pub fn values(&self) -> &Arc<CallValues> {
        &self.values
    }

    /// Time spent in interceptors so far.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Passes the response back through all interceptors. Fails with the failure of the first that
    /// fails.
    pub async fn run_after_hooks(
        &mut self,
        response: InferResponse,
    ) -> Result<InferResponse, InferError> {
        let model = self.model.clone();
        let requested = self.model_outputs.clone();
        self.run_after_call(response, false, move |response| {
            model.metadata().check_response(&requested, response)
        })
        .await
    }

    /// Passes one response part back through all interceptors, as
    /// [`InterceptedRequest::run_after_hooks`] does with a whole response, while the model computes
    /// the next.
    pub async fn run_after_hooks_on_part(
        &mut self,
        part: InferResponse,
    ) -> Result<InferResponse, InferError> {
        let model = self.model.clone();
        self.run_after_call(part, true, move |part| model.metadata().check_part(part)).await
    }

    async fn run_after_call(
        &mut self,
        mut response: InferResponse,
        beside: bool,
        check: impl Fn(&InferResponse) -> Result<(), String> + Clone + Send + 'static,
    ) -> Result<InferResponse, InferError> {
        let started = Instant::now();

        for interceptor in self.chain.interceptors.iter().rev() {
            let context = self.context.clone();
            let hook = async move |mut instance: Instance| {
                let outcome = instance.after_call(&context, response).await;
                (instance, outcome)
            };
            response = self
                .interceptor_call(interceptor, beside)
                .run(hook, InferResponse::size, check.clone())
                .await?;
        }
        // An interceptor may have requested more outputs than the caller.
        if !self.requested_outputs.is_empty() {
            response.outputs.retain(|tensor| self.requested_outputs.contains(&tensor.name));
        }

        self.took += started.elapsed();
        Ok(response)
    }

    fn interceptor_call<'a>(
        &'a self,
        interceptor: &'a ServableHandle,
        beside: bool,
    ) -> InterceptorCall<'a> {
        let request_id = self.context.request_id.clone();
        let context = CallContext {
            values: Some(self.values.clone()),
            ..CallContext::for_request(request_id)
        };
        InterceptorCall { interceptor, source: &self.source, budget: &self.budget, context, beside }
    }
}

/// Checks the request that an interceptor returns. If the request was `sound` before, it must match
/// the model's metadata. Tensors must always be well formed.
fn check_request(model: &Servable, request: &InferRequest, sound: bool) -> Result<(), String> {
    let well_formed = |tensor: &Tensor| {
        tensor.check().map_err(|fault| format!("input '{}': {fault}", tensor.name))
    };
    request.inputs.iter().try_for_each(well_formed)?;
    if sound { model.metadata().check_request(request) } else { Ok(()) }
}

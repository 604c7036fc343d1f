//! Passes one request through the interceptors, and its response back through them in reverse
//! order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Chain;
use super::visit::Visit;
use crate::capability::{Scope, Values};
use crate::engine::{Budget, CallContext, Instance};
use crate::model::{Asker, InferError, InferRequest, InferResponse, Tensor};
use crate::servable::breaker::RequestSource;
use crate::servable::{Servable, ServableHandle};

/// A request that all interceptors have admitted. They process the response too, in reverse order.
pub struct Passed {
    chain: Arc<Chain>,
    model: ServableHandle,
    about: Arc<CallContext>,
    source: RequestSource,
    budget: Budget,
    values: Arc<Values>,
    /// Outputs requested by the caller, and those requested from the model.
    wanted: Vec<String>,
    asked: Vec<String>,
    /// Time spent in interceptors so far.
    took: Duration,
}

impl Chain {
    /// Passes a request for `model` through all interceptors, within the request's budget. Fails
    /// with the refusal or failure of the first interceptor that does not admit it.
    pub(in crate::servable) async fn before(
        self: Arc<Self>,
        model: &ServableHandle,
        mut request: InferRequest,
        budget: &Budget,
        asker: Asker,
        source: RequestSource,
    ) -> Result<(InferRequest, Passed), InferError> {
        self.check_open()?;
        let started = Instant::now();

        let mut passed = Passed::new(self, model, &request, budget, asker, source);
        // An interceptor is not to blame for a request that was invalid before.
        let sound = model.metadata().check_request(&request).is_ok();

        for link in &passed.chain.links {
            let about = passed.about.clone();
            let part = async move |mut instance: Instance| {
                let outcome = instance.before_call(&about, request).await;
                (instance, outcome)
            };
            let model = model.clone();
            let check = move |request: &InferRequest| check_request(&model, request, sound);
            request = passed.visit(link, false).run(part, check).await?;
        }

        passed.asked.clone_from(&request.outputs);
        passed.took = started.elapsed();
        Ok((request, passed))
    }
}

impl Passed {
    fn new(
        chain: Arc<Chain>,
        model: &ServableHandle,
        request: &InferRequest,
        budget: &Budget,
        asker: Asker,
        source: RequestSource,
    ) -> Self {
        let Asker { request_id, key } = asker;
        let about = Arc::new(CallContext { id: model.id().clone(), request_id, key });

        let (wanted, asked) = (request.outputs.clone(), Vec::new());
        let (model, budget, values, took) =
            (model.clone(), budget.clone(), Arc::default(), Duration::ZERO);
        Passed { chain, model, about, source, budget, values, wanted, asked, took }
    }

    /// The values that the interceptors of this call share.
    pub fn values(&self) -> &Arc<Values> {
        &self.values
    }

    /// Time spent in interceptors so far.
    pub fn took(&self) -> Duration {
        self.took
    }

    /// Passes the response back through all interceptors. Fails with the failure of the first that
    /// fails.
    pub async fn after(&mut self, response: InferResponse) -> Result<InferResponse, InferError> {
        let (model, asked) = (self.model.clone(), self.asked.clone());
        self.lead_back(response, false, move |response| {
            model.metadata().check_response(&asked, response)
        })
        .await
    }

    /// Passes one response part back through all interceptors, as [`Passed::after`] does with a
    /// whole response, while the model computes the next.
    pub async fn after_part(&mut self, part: InferResponse) -> Result<InferResponse, InferError> {
        let model = self.model.clone();
        self.lead_back(part, true, move |part| model.metadata().check_part(part)).await
    }

    async fn lead_back(
        &mut self,
        mut response: InferResponse,
        beside: bool,
        check: impl Fn(&InferResponse) -> Result<(), String> + Clone + Send + 'static,
    ) -> Result<InferResponse, InferError> {
        let started = Instant::now();

        for link in self.chain.links.iter().rev() {
            let about = self.about.clone();
            let part = async move |mut instance: Instance| {
                let outcome = instance.after_call(&about, response).await;
                (instance, outcome)
            };
            response = self.visit(link, beside).run(part, check.clone()).await?;
        }
        // An interceptor may have requested more outputs than the caller.
        if !self.wanted.is_empty() {
            response.outputs.retain(|tensor| self.wanted.contains(&tensor.name));
        }

        self.took += started.elapsed();
        Ok(response)
    }

    fn visit<'a>(&'a self, link: &'a ServableHandle, beside: bool) -> Visit<'a> {
        let request_id = self.about.request_id.clone();
        let scope = Scope { values: Some(self.values.clone()), ..Scope::of_request(request_id) };
        Visit { interceptor: link, source: &self.source, budget: &self.budget, scope, beside }
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

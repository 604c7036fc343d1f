//! The calls that can be made of a component, one function each.

use super::about::{CallContext, objection};
use super::{Instance, internal, types};
use crate::engine::bindings::migrations;
use crate::model::{InferError, InferRequest, InferResponse, Metadata, ModelId};

/// Calls an exported function: finds its interface, starts the clock, and says what the call's end
/// means.
macro_rules! call {
    ($self:ident . $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let template = $self.template.clone();
        let indices = template.exports().$interface.as_ref().ok_or_else(|| missing(stringify!($interface)))?;
        let guest = indices.load(&mut $self.store, &$self.exported).map_err(internal)?;
        let _ticking = $self.start_clock();
        let outcome = guest.$function(&mut $self.store, $($argument),*).await;
        $self.conclude(outcome)
    }};
}

impl Instance {
    /// Answers one request. The outputs are checked for size here; against the metadata, by the
    /// caller.
    pub async fn infer(&mut self, request: InferRequest) -> Result<InferResponse, InferError> {
        let request = types::Request::from(request);
        let _ticking = self.start_clock();
        let inference = self.inference.as_ref().ok_or_else(|| missing("inference"))?;
        let outcome = inference.call_infer(&mut self.store, &request).await;
        let response = InferResponse::from(self.conclude(outcome)??);
        self.check_size(&response)?;
        Ok(response)
    }

    /// Answers several requests in one call, each with its own answer or error.
    pub async fn infer_batch(
        &mut self,
        requests: Vec<InferRequest>,
    ) -> Result<Vec<Result<InferResponse, InferError>>, InferError> {
        let requests: Vec<_> = requests.into_iter().map(types::Request::from).collect();
        let answers = call!(self.batching.call_infer_batch(&requests))?;
        let checked = answers.into_iter().map(|answer| {
            let response = InferResponse::from(answer?);
            self.check_size(&response).map(|()| response)
        });
        Ok(checked.collect())
    }

    /// Answers one request in parts, which go to the emitter of the call's scope.
    pub async fn infer_stream(&mut self, request: InferRequest) -> Result<(), InferError> {
        let request = types::Request::from(request);
        Ok(call!(self.streaming.call_infer_stream(&request))??)
    }

    /// Does what an earlier call has left for later.
    pub async fn run_deferred(&mut self, name: &str, payload: &[u8]) -> Result<(), InferError> {
        Ok(call!(self.deferred.call_run_deferred(name, payload))??)
    }

    /// Brings the state of the call's session forward, if another version has left it and this one
    /// is to see it first. Fails with a text for the model's author.
    pub async fn bring_session_forward(&mut self) -> Result<(), InferError> {
        let scope = self.store.data().call.scope.clone();
        let Some(session) = &scope.session else { return Ok(()) };
        let Some((from, state)) = session.to_bring_forward() else { return Ok(()) };
        let migrated =
            self.migrate_session(from, &state).await.map_err(|error| in_migration(from, error))?;
        session
            .brought_forward(migrated)
            .map_err(|text| InferError::Failed(format!("migrate-session: {text}")))
    }

    /// Turns the state of a session that another version has left into this version's; `None` to
    /// begin anew.
    pub async fn migrate_session(
        &mut self,
        from: u64,
        state: &[u8],
    ) -> Result<Option<Vec<u8>>, InferError> {
        Ok(call!(self.session_migration.call_migrate_session(from, state))??)
    }

    /// The steps that bring the database to where this version needs it: names and statements,
    /// oldest first.
    pub async fn migrations(&mut self) -> Result<Vec<(String, String)>, InferError> {
        let steps: Vec<migrations::Migration> = call!(self.migrations.call_migrations())?;
        Ok(steps.into_iter().map(|step| (step.name, step.statements)).collect())
    }

    /// Lets an interceptor see a request before its model does. Fails with [`InferError::Refused`]
    /// if it lets it not pass. The request is checked for size here; against the model, by the
    /// caller.
    pub async fn before_call(
        &mut self,
        about: &CallContext,
        request: InferRequest,
    ) -> Result<InferRequest, InferError> {
        let InferRequest { sequence, priority, .. } = request;
        let request = types::Request::from(InferRequest { sequence: None, ..request });
        let request = call!(self.interceptor.call_before_call(&about.into(), &request))??;
        // How the host treats a request is no interceptor's to change.
        let request = InferRequest { sequence, priority, ..request.into() };
        self.check_sizes(&request.inputs, &request.parameters)?;
        Ok(request)
    }

    /// Lets an interceptor see an answer before the caller does. It is checked for size here;
    /// against the model, by the caller.
    pub async fn after_call(
        &mut self,
        about: &CallContext,
        response: InferResponse,
    ) -> Result<InferResponse, InferError> {
        let response = types::Response::from(response);
        let response = call!(self.interceptor.call_after_call(&about.into(), &response))?.into();
        self.check_size(&response)?;
        Ok(response)
    }

    /// Tells an interceptor that a version is about to be loaded. Fails with
    /// [`InferError::Rejected`] if it objects.
    pub async fn before_load(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_before_load(&version.into()))?.map_err(objection)
    }

    /// Tells an interceptor that a version can serve. Fails with [`InferError::Rejected`] if it
    /// objects.
    pub async fn after_load(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_after_load(&version.into()))?.map_err(objection)
    }

    /// Tells an interceptor that a version, which serves no more, is about to be unloaded.
    pub async fn before_unload(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_before_unload(&version.into()))
    }

    /// Tells an interceptor that a version has been unloaded.
    pub async fn after_unload(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_after_unload(&version.into()))
    }

    /// Runs `load` where the code does not start already loaded.
    pub(super) async fn load(&mut self) -> Result<Metadata, InferError> {
        self.store.data_mut().ctx.set_loading(true);
        let outcome = call!(self.inference.call_load());
        self.store.data_mut().ctx.set_loading(false);
        Ok(outcome??.into())
    }

    /// Runs the model's own `warm-up`, if it has one.
    pub async fn warm_up(&mut self) -> Result<(), InferError> {
        if !self.template.has_lifecycle() {
            return Ok(());
        }
        Ok(call!(self.lifecycle.call_warm_up())??)
    }

    /// Runs the model's own `unload`, if it has one.
    pub async fn unload(&mut self) -> Result<(), InferError> {
        if !self.template.has_lifecycle() {
            return Ok(());
        }
        call!(self.lifecycle.call_unload())
    }
}

/// Says of a refusal what it was that was refused.
fn in_migration(from: u64, error: InferError) -> InferError {
    let what =
        format!("this session's state, which version {from} has left, cannot be brought forward");
    match error {
        InferError::Rejected(text) => InferError::Rejected(format!("{what}: {text}")),
        InferError::Failed(text) => InferError::Failed(format!("{what}: {text}")),
        other => other,
    }
}

/// Who calls has not looked at what the component exports.
fn missing(interface: &str) -> InferError {
    InferError::Internal(format!("the component does not export '{interface}'"))
}

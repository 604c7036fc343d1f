//! The calls of a component, one function each.

use super::interceptor_context::{InterceptorContext, load_objection};
use super::{Instance, internal, types};
use crate::engine::Interface;
use crate::engine::bindings::migrations;
use crate::model::{InferError, InferRequest, InferResponse, Metadata, ModelId};

/// Calls an exported function: looks up its interface, starts the clock, and maps the outcome.
macro_rules! call {
    ($self:ident . $interface:ident . $function:ident ( $($argument:expr),* )) => {{
        let template = $self.template.clone();
        let indices = template.interfaces().$interface.as_ref().ok_or_else(|| missing(stringify!($interface)))?;
        let guest = indices.load(&mut $self.store, &$self.component).map_err(internal)?;

        let _ticking = $self.start_clock();
        let outcome = guest.$function(&mut $self.store, $($argument),*).await;
        $self.conclude(outcome)
    }};
}

impl Instance {
    /// Answers one request. Checks the size of the outputs; the caller checks them against the
    /// metadata.
    pub async fn infer(&mut self, request: InferRequest) -> Result<InferResponse, InferError> {
        let request = types::Request::from(request);

        let _ticking = self.start_clock();
        let inference = self.inference.as_ref().ok_or_else(|| missing("inference"))?;
        let outcome = inference.call_infer(&mut self.store, &request).await;

        let response = InferResponse::from(self.conclude(outcome)??);
        self.check_size(&response)?;
        Ok(response)
    }

    /// Answers several requests in one call, each with its own response or error.
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

    /// Answers one request in parts, which go to the emitter of the call's context.
    pub async fn infer_stream(&mut self, request: InferRequest) -> Result<(), InferError> {
        let request = types::Request::from(request);
        Ok(call!(self.streaming.call_infer_stream(&request))??)
    }

    /// Runs a deferred task of an earlier call.
    pub async fn run_deferred(&mut self, name: &str, payload: &[u8]) -> Result<(), InferError> {
        Ok(call!(self.deferred.call_run_deferred(name, payload))??)
    }

    /// Migrates the state of the call's session, if another version wrote it and the model migrates
    /// sessions. Fails with a text for the model's author.
    pub async fn migrate_session_state(&mut self) -> Result<(), InferError> {
        let context = self.store.data().call.context.clone();
        let Some(session) = &context.session else { return Ok(()) };
        let Some((from, state)) = session.pending_migration() else { return Ok(()) };

        let migrated = self
            .migrate_session(from, &state)
            .await
            .map_err(|error| migration_error(from, error))?;
        session
            .complete_migration(migrated)
            .map_err(|text| InferError::Failed(format!("migrate-session: {text}")))
    }

    /// Migrates the session state that version `from` wrote. Returns `None` to start without state.
    pub async fn migrate_session(
        &mut self,
        from: u64,
        state: &[u8],
    ) -> Result<Option<Vec<u8>>, InferError> {
        Ok(call!(self.session_migration.call_migrate_session(from, state))??)
    }

    /// Returns the database migrations that this version needs, as names and statements, oldest
    /// first.
    pub async fn migrations(&mut self) -> Result<Vec<(String, String)>, InferError> {
        let steps: Vec<migrations::Migration> = call!(self.migrations.call_migrations())?;
        Ok(steps.into_iter().map(|step| (step.name, step.statements)).collect())
    }

    /// Runs an interceptor on a request before the model. Fails with [`InferError::Refused`] if
    /// it refuses the request. Checks the size of the result; the caller checks it against the
    /// model.
    pub async fn before_call(
        &mut self,
        context: &InterceptorContext,
        request: InferRequest,
    ) -> Result<InferRequest, InferError> {
        let InferRequest { session: sequence, priority, .. } = request;
        let request = types::Request::from(InferRequest { session: None, ..request });
        let request = call!(self.interceptor.call_before_call(&context.into(), &request))??;

        // An interceptor cannot change how the host schedules a request.
        let request = InferRequest { session: sequence, priority, ..request.into() };

        self.check_sizes(&request.inputs, &request.parameters)?;
        Ok(request)
    }

    /// Runs an interceptor on a response before the caller receives it. Checks the size of the
    /// result; the caller checks it against the model.
    pub async fn after_call(
        &mut self,
        context: &InterceptorContext,
        response: InferResponse,
    ) -> Result<InferResponse, InferError> {
        let response = types::Response::from(response);
        let response = call!(self.interceptor.call_after_call(&context.into(), &response))?.into();
        self.check_size(&response)?;
        Ok(response)
    }

    /// Calls an interceptor before a version is loaded. Fails with [`InferError::Rejected`] if it
    /// objects.
    pub async fn before_load(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_before_load(&version.into()))?.map_err(load_objection)
    }

    /// Calls an interceptor when a version can serve. Fails with [`InferError::Rejected`] if it
    /// objects.
    pub async fn after_load(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_after_load(&version.into()))?.map_err(load_objection)
    }

    /// Calls an interceptor before a version, which no longer serves, is unloaded.
    pub async fn before_unload(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_before_unload(&version.into()))
    }

    /// Calls an interceptor after a version was unloaded.
    pub async fn after_unload(&mut self, version: &ModelId) -> Result<(), InferError> {
        call!(self.interceptor.call_after_unload(&version.into()))
    }

    /// Runs `load`, for code that does not start loaded.
    pub(super) async fn load(&mut self) -> Result<Metadata, InferError> {
        self.store.data_mut().ctx.set_loading(true);
        let outcome = call!(self.inference.call_load());
        self.store.data_mut().ctx.set_loading(false);
        Ok(outcome??.into())
    }

    /// Runs the model's own `warm-up`, if it has one.
    pub async fn warm_up(&mut self) -> Result<(), InferError> {
        if !self.template.has(Interface::Lifecycle) {
            return Ok(());
        }
        Ok(call!(self.lifecycle.call_warm_up())??)
    }

    /// Runs the model's own `unload`, if it has one.
    pub async fn unload(&mut self) -> Result<(), InferError> {
        if !self.template.has(Interface::Lifecycle) {
            return Ok(());
        }
        call!(self.lifecycle.call_unload())
    }
}

/// Prefixes a refusal by the model with its subject.
fn migration_error(from: u64, error: InferError) -> InferError {
    let what =
        format!("this session's state, which version {from} has left, cannot be brought forward");
    match error {
        InferError::Rejected(text) => InferError::Rejected(format!("{what}: {text}")),
        InferError::Failed(text) => InferError::Failed(format!("{what}: {text}")),
        other => other,
    }
}

/// The error of a caller that did not check the component's exports.
fn missing(interface: &str) -> InferError {
    InferError::Internal(format!("the component does not export '{interface}'"))
}

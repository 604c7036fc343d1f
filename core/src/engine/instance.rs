//! An instance of a component.

mod calls;
mod interceptor_context;

use std::sync::Arc;

use wasmtime::component::Instance as Exported;
use wasmtime::{Store, UpdateDeadline, WasmBacktrace};

pub use interceptor_context::InterceptorContext;

use super::artifact::Snapshot;
use super::bindings::inference;
use super::epoch::TickGuard;
use super::reset::ResetFunction;
use super::store_state::{MemoryLimiter, State};
use super::trap::classify;
use super::{Call, Engine, Template};
use crate::capability::{Ctx, CtxView, Grants, sanitize_line, types};
use crate::model::{InferError, InferResponse, Parameter, Tensor, payload_size};
use crate::tenant::{InstancePermit, Resource, Tenant};

/// The most component-model handles of an instance; a model needs a few for its standard streams.
const MAX_HANDLES: usize = 1000;

/// One store with one instance of a component. It answers one call at a time, and none after a call
/// failed inside the guest.
pub struct Instance {
    template: Template,
    store: Store<State>,
    component: Exported,
    /// Looked up at creation because every request needs it; other interfaces are looked up when
    /// called.
    inference: Option<inference::Guest>,
    /// A call was interrupted or trapped, so the guest's state is undefined.
    failed: bool,
    /// It was reset after its last call.
    is_reset: bool,
    /// Looked up at the first reset.
    reset_function: Option<ResetFunction>,
    /// Declared after the store, so that the slot is released after the store is gone.
    _permit: InstancePermit,
}

impl Instance {
    /// Creates an instance for a first call, and runs `load` in it unless its code starts loaded.
    /// Dropping it returns the permit.
    pub async fn new(
        template: &Template,
        call: Call,
        permit: InstancePermit,
    ) -> Result<Instance, InferError> {
        let engine = template.engine().clone();
        let _ticking = engine.keep_ticking();

        let fuel = hostcall_fuel(template.response_limit().max(call.context.max_transfer()));
        let mut store =
            new_store(&engine, template.grants(), template.memory_limit(), call, permit.tenant())?;
        store.set_hostcall_fuel(fuel);

        let made = template.pre().instantiate_async(&mut store).await;
        let exported = made.map_err(|error| classify(&error, store.data()))?;

        if let Some(resetter) = template.resetter().filter(|resetter| resetter.needs_originals()) {
            resetter.copy_originals(&mut store, &exported).await.map_err(internal)?;
        }

        let inference = template
            .interfaces()
            .inference
            .as_ref()
            .map(|indices| indices.load(&mut store, &exported));

        let inference = inference.transpose().map_err(internal)?;

        let template = template.clone();
        let mut instance = Instance {
            template,
            store,
            component: exported,
            inference,
            failed: false,
            is_reset: false,
            reset_function: None,
            _permit: permit,
        };

        if let Snapshot::Impossible(_) = instance.template.snapshot() {
            instance.load().await?;
        }

        Ok(instance)
    }

    /// Starts another call; `new` starts the first.
    pub fn begin_call(&mut self, call: Call) {
        self.store.set_hostcall_fuel(hostcall_fuel(
            self.template.response_limit().max(call.context.max_transfer()),
        ));

        let state = self.store.data_mut();
        match std::mem::take(&mut self.is_reset) {
            true => state.ctx = Ctx::new(self.template.grants().clone(), call.context.clone()),
            false => state.ctx.begin_call(call.context.clone()),
        }
        state.memory.begin_call();
        state.call = call;
    }

    /// Releases everything that the last call held, before the instance becomes idle.
    pub fn end_call(&mut self) {
        let state = self.store.data_mut();
        state.call.context = Arc::default();
        state.ctx.end_call();
    }

    /// Makes the instance as good as a new one. Returns false if it cannot be, and must be dropped.
    pub async fn reset(&mut self) -> bool {
        let template = self.template.clone();
        let Some(resetter) = template.resetter().filter(|_| self.is_resettable()) else {
            return false;
        };

        let function = match self.reset_function.take() {
            Some(function) => function,
            None => match resetter.function(&mut self.store, &self.component) {
                Ok(function) => function,
                Err(_) => return false,
            },
        };

        self.is_reset = resetter.reset(&mut self.store, &function).await;
        self.reset_function = Some(function);
        self.is_reset
    }

    /// True if nothing but the content of its memory and its global variables can differ from a new
    /// instance's.
    fn is_resettable(&self) -> bool {
        let state = self.store.data();
        !self.failed
            && !state.ctx.may_have_had_handles()
            && state.memory.used() == self.template.initial_memory()
    }

    /// Interrupts the guest at the next tick, and keeps the clock ticking.
    fn start_clock(&mut self) -> TickGuard {
        self.store.set_epoch_deadline(1);
        self.template.engine().keep_ticking()
    }

    /// True if the instance can take another call. If it still holds requests or a transaction of
    /// its last call, it cannot: those must end with the call.
    pub fn is_reusable(&self) -> bool {
        !self.failed && !self.store.data().ctx.holds_resources()
    }

    /// Bytes of its memory, which never shrinks.
    pub fn memory(&self) -> u64 {
        self.store.data().memory.used()
    }

    fn conclude<T>(&mut self, outcome: wasmtime::Result<T>) -> Result<T, InferError> {
        outcome.map_err(|error| {
            self.failed = true;
            match classify(&error, self.store.data()) {
                // No guest function was running: the call has returned, and its result is too
                // large or malformed.
                InferError::Trapped { detail }
                    if error.downcast_ref::<WasmBacktrace>().is_none() =>
                {
                    if detail.contains(FUEL_EXHAUSTED) {
                        InferError::OversizedOutput(detail)
                    } else {
                        InferError::BadOutput(detail)
                    }
                }
                reason => reason,
            }
        })
    }

    fn check_size(&self, response: &InferResponse) -> Result<(), InferError> {
        self.check_sizes(&response.outputs, &response.parameters)
    }

    /// Fails if the result of a call exceeds the limit of a response.
    fn check_sizes(&self, tensors: &[Tensor], parameters: &[Parameter]) -> Result<(), InferError> {
        let size = payload_size(tensors, parameters);
        let limit = self.template.response_limit();

        if size > limit {
            return Err(InferError::OversizedOutput(format!(
                "the answer has {size} bytes; the limit is {limit}"
            )));
        }
        Ok(())
    }
}

impl From<types::Error> for InferError {
    fn from(error: types::Error) -> Self {
        match error {
            types::Error::Rejected(text) => {
                InferError::Rejected(sanitize_line(&text, MAX_ERROR_TEXT))
            }
            types::Error::Failed(text) => InferError::Failed(sanitize_line(&text, MAX_ERROR_TEXT)),
        }
    }
}

fn internal(error: wasmtime::Error) -> InferError {
    InferError::Internal(format!("{error:#}"))
}

/// The longest text of a model's own error that is passed on, in bytes.
const MAX_ERROR_TEXT: usize = 4096;

/// The text of the error that wasmtime returns when [`hostcall_fuel`] is exhausted. It has no type.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// Bytes that the host copies for a guest in one call: the response, and as much again for names,
/// log lines and the like.
fn hostcall_fuel(response_limit: u64) -> usize {
    usize::try_from(response_limit.saturating_mul(2)).unwrap_or(usize::MAX).max(1 << 20)
}

/// Creates a store whose guest is interrupted when its budget is used up, and yields at the end of
/// its time slice.
pub(super) fn new_store(
    engine: &Engine,
    grants: &Grants,
    memory: u64,
    call: Call,
    tenant: &Arc<Tenant>,
) -> Result<Store<State>, InferError> {
    let memory = MemoryLimiter::new(memory, tenant.take(Resource::Memory, 0)?);
    let ctx = Ctx::new(grants.clone(), call.context.clone());
    let state = State { ctx, memory, call };

    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(MAX_HANDLES);

    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|mut store| {
        Ok(match store.data_mut().end_time_slice()? {
            Some(next_slice) => UpdateDeadline::YieldCustom(1, next_slice),
            None => UpdateDeadline::Continue(1),
        })
    });

    Ok(store)
}

//! A running model.

mod about;
mod calls;

use std::sync::Arc;

use wasmtime::component::Instance as Exported;
use wasmtime::{Store, UpdateDeadline, WasmBacktrace};

pub use about::CallContext;

use super::artifact::Snapshot;
use super::bindings::inference;
use super::state::{MemoryLimit, State};
use super::ticker::Ticking;
use super::trap::classify;
use super::{Call, Engine, Template};
use crate::capability::{Ctx, Grants, Interrupted, clean, types};
use crate::model::{InferError, InferResponse, Parameter, Tensor, size_of};
use crate::tenant::{InstancePermit, Resource, Tenant};

/// Component-model handles an instance may hold; a model needs a few for its standard streams.
const MAX_HANDLES: usize = 1000;

/// A running model: one store with one instance in it. It answers one call at a time, and none
/// after a call has failed inside the guest.
pub struct Instance {
    template: Template,
    store: Store<State>,
    exported: Exported,
    /// Looked up at once, because every request needs it; the others when they are called.
    inference: Option<inference::Guest>,
    /// A guest that was interrupted or trapped is in no state to be called again.
    dead: bool,
    /// Given back after the store, which is what it is the right to.
    _permit: InstancePermit,
}

impl Instance {
    /// Makes an instance for a first call, and runs `load` in it where its code does not start
    /// already loaded. It gives the permit back when it is dropped.
    pub async fn new(
        template: &Template,
        call: Call,
        permit: InstancePermit,
    ) -> Result<Instance, InferError> {
        let engine = template.engine().clone();
        let _ticking = engine.keep_ticking();
        let fuel = hostcall_fuel(template.response_limit().max(call.scope.largest()));
        let mut store =
            new_store(&engine, template.grants(), template.memory_limit(), call, permit.tenant())?;
        store.set_hostcall_fuel(fuel);
        let made = template.pre().instantiate_async(&mut store).await;
        let exported = made.map_err(|error| classify(&error, store.data()))?;
        let inference = template
            .exports()
            .inference
            .as_ref()
            .map(|indices| indices.load(&mut store, &exported));
        let inference = inference.transpose().map_err(internal)?;
        let template = template.clone();
        let mut instance =
            Instance { template, store, exported, inference, dead: false, _permit: permit };
        if let Snapshot::Impossible(_) = instance.template.snapshot() {
            instance.load().await?;
        }
        Ok(instance)
    }

    /// Starts another call; `new` has started the first.
    pub fn begin_call(&mut self, call: Call) {
        self.store.set_hostcall_fuel(hostcall_fuel(
            self.template.response_limit().max(call.scope.largest()),
        ));
        self.store.data_mut().ctx.begin_call(call.scope.clone());
        self.store.data_mut().memory.begin_call();
        self.store.data_mut().call = call;
    }

    /// Lets go of everything that its last call had to do with, before it waits for another.
    pub fn end_call(&mut self) {
        let state = self.store.data_mut();
        state.call.scope = Arc::default();
        state.ctx.end_call();
    }

    /// Has the guest interrupted at the next tick, and makes sure that there is one.
    fn start_clock(&mut self) -> Ticking {
        self.store.set_epoch_deadline(1);
        self.template.engine().keep_ticking()
    }

    /// Whether it can take another call. One that holds on to requests or a transaction of its last
    /// call cannot: those end with the call.
    pub fn is_alive(&self) -> bool {
        let ctx = &self.store.data().ctx;
        !self.dead && !ctx.holds_requests() && !ctx.holds_transaction()
    }

    /// Bytes of memory it has, which never shrinks.
    pub fn memory(&self) -> u64 {
        self.store.data().memory.used()
    }

    fn conclude<T>(&mut self, outcome: wasmtime::Result<T>) -> Result<T, InferError> {
        outcome.map_err(|error| {
            self.dead = true;
            match classify(&error, self.store.data()) {
                // It happened in no guest's function: the call has returned, and what it returned
                // is too large or cannot be read.
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

    /// Holds what a call has handed over against the limit of a response.
    fn check_sizes(&self, tensors: &[Tensor], parameters: &[Parameter]) -> Result<(), InferError> {
        let (size, limit) = (size_of(tensors, parameters), self.template.response_limit());
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
            types::Error::Rejected(text) => InferError::Rejected(clean(&text, MAX_ERROR_TEXT)),
            types::Error::Failed(text) => InferError::Failed(clean(&text, MAX_ERROR_TEXT)),
        }
    }
}

fn internal(error: wasmtime::Error) -> InferError {
    InferError::Internal(format!("{error:#}"))
}

/// The longest text of a model's own error that is passed on, in bytes.
const MAX_ERROR_TEXT: usize = 4096;

/// Wasmtime's words for an answer that is larger than [`hostcall_fuel`]; it has no error type for
/// that.
const FUEL_EXHAUSTED: &str = "fuel allocated for hostcalls has been exhausted";

/// Bytes that a guest may make the host copy in one call: its answer, and as much again for names,
/// log lines and the like.
fn hostcall_fuel(response_limit: u64) -> usize {
    usize::try_from(response_limit.saturating_mul(2)).unwrap_or(usize::MAX).max(1 << 20)
}

/// A store whose guest is stopped when its budget is spent and gives way at every tick.
pub(super) fn new_store(
    engine: &Engine,
    grants: &Grants,
    memory: u64,
    call: Call,
    tenant: &Arc<Tenant>,
) -> Result<Store<State>, InferError> {
    let memory = MemoryLimit::new(memory, tenant.take(Resource::Memory, 0)?);
    let ctx = Ctx::new(grants.clone(), call.scope.clone());
    let state = State { ctx, memory, call };
    let mut store = Store::new(engine.wasmtime(), state);
    store.limiter(|state| &mut state.memory);
    store.set_max_component_handles(MAX_HANDLES);
    store.set_epoch_deadline(1);
    store.epoch_deadline_callback(|store| {
        let State { call: Call { budget, .. }, ctx, .. } = store.data();
        budget.spend(ctx.take_sql_time());
        let over = budget.check().map_err(|spent| wasmtime::Error::new(Interrupted(spent)))?;
        Ok(if over {
            UpdateDeadline::YieldCustom(1, Box::pin(budget.give_way()))
        } else {
            UpdateDeadline::Continue(1)
        })
    });
    Ok(store)
}

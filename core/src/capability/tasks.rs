//! `wardian:model/tasks`: work deferred until after the response.
//!
//! A call only collects its tasks. The caller of the guest commits them together with the session
//! state if the call succeeds.

use std::sync::{Arc, Mutex};

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::{Ctx, CtxView, HasCtx, HostCapability};
use crate::model::{QuotaExceeded, format_size};
use crate::mutex::lock;
use crate::store::tasks::NewTask;
use crate::tenant::{QuotaGuard, Resource, Tenant};
use bindings::wardian::model::tasks::{DeferError, Host};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world deferring {
                import wardian:model/tasks@0.1.0;
            }
        ",
        world: "wardian:host/deferring",
    });
}

/// The longest name of a task, in bytes.
const MAX_NAME: usize = 128;

/// The tasks deferred by one call.
pub struct DeferredTasks {
    limits: Option<TaskLimits>,
    collected: Mutex<Collected>,
}

/// The limits on the tasks of one call.
#[derive(Clone, Copy, Debug)]
pub struct TaskLimits {
    /// The number of tasks.
    pub tasks: u32,
    /// Bytes of each payload.
    pub payload: u64,
}

struct Collected {
    tasks: Vec<NewTask>,
    /// Charges the payloads, which are in the host's memory, to the tenant.
    held: QuotaGuard,
}

impl DeferredTasks {
    /// An empty collection. `limits` is `None` if the component does not export the function that
    /// runs tasks.
    pub fn new(
        tenant: &Arc<Tenant>,
        room: Option<TaskLimits>,
    ) -> Result<DeferredTasks, QuotaExceeded> {
        let collected = Collected { tasks: Vec::new(), held: tenant.take(Resource::Memory, 0)? };
        Ok(DeferredTasks { limits: room, collected: Mutex::new(collected) })
    }

    /// The most bytes of a payload.
    pub fn max_payload(&self) -> u64 {
        self.limits.map_or(0, |room| room.payload)
    }

    /// Takes the collected tasks.
    pub fn take(&self) -> Vec<NewTask> {
        std::mem::take(&mut lock(&self.collected).tasks)
    }

    fn add(&self, name: String, payload: Vec<u8>) -> Result<(), DeferError> {
        let room = self.limits.ok_or(DeferError::Unsupported)?;
        let limit = |text: String| Err(DeferError::Limit(text));

        if name.len() > MAX_NAME || name.chars().any(char::is_control) {
            return limit(format!(
                "a task's name has at most {MAX_NAME} bytes and no control characters"
            ));
        }

        let size = payload.len() as u64;
        if size > room.payload {
            let allowed = format_size(room.payload);
            return limit(format!(
                "the payload has {size} bytes; deferred.payload allows {allowed}"
            ));
        }

        let mut collected = lock(&self.collected);
        if collected.tasks.len() >= room.tasks as usize {
            return limit(format!("this call may leave {} tasks behind and no more", room.tasks));
        }

        collected.held.grow(size).map_err(|refusal| DeferError::Limit(refusal.to_string()))?;
        collected.tasks.push(NewTask { name, payload });

        Ok(())
    }
}

impl HostCapability for DeferredTasks {
    const IMPORTS: &'static [&'static str] = &["wardian:model/tasks"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        bindings::wardian::model::tasks::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }
}

impl Host for Ctx {
    fn defer(&mut self, name: String, payload: Vec<u8>) -> Result<(), DeferError> {
        let deferrals = self.call.tasks.as_ref().filter(|_| !self.loading);
        deferrals.ok_or(DeferError::NotNow)?.add(name, payload)
    }
}

//! The state of an instance that has run `load`.

use wasmtime::Store;
use wasmtime::component::{ComponentNamedList, Instance, Lift, WasmList};

use super::super::super::store_state::State;
use super::component::SplitComponent;
use super::core_module::global_reader;
use super::{READ_HEAD, READ_MEMORY};

/// The memory of an instance, and whether anything else has changed in it.
pub(in crate::engine::compile) struct LoadedState {
    memory: Vec<u8>,
    globals: Vec<i64>,
}

impl LoadedState {
    /// Reads the state of an instance of the split component's code.
    pub(in crate::engine::compile) async fn read(
        split: &SplitComponent,
        store: &mut Store<State>,
        instance: Instance,
    ) -> wasmtime::Result<Self> {
        // The whole memory is read in one call; its size has a limit of its own.
        store.set_hostcall_fuel(usize::MAX);

        let (head,) = call::<(i64,)>(store, instance, READ_HEAD).await?;
        let mut globals = Vec::new();
        for number in 0..split.globals.len() {
            globals.push(call::<(i64,)>(store, instance, &global_reader(number)).await?.0);
        }

        // Overwrites the head.
        let (list,) = call::<(WasmList<u8>,)>(store, instance, READ_MEMORY).await?;
        let mut memory = list.as_le_slice(&*store).to_vec();
        for (byte, original) in memory.iter_mut().zip(head.to_le_bytes()) {
            *byte = original;
        }

        Ok(LoadedState { memory, globals })
    }

    /// Returns the state as a core module that the code can import. Refuses it if it is more than
    /// the memory.
    pub(in crate::engine::compile) fn into_module(
        self,
        split: &SplitComponent,
    ) -> Result<Vec<u8>, String> {
        if self.globals != split.globals {
            return Err("load changes a global variable".into());
        }
        Ok(split.memory.with_content(&self.memory))
    }
}

async fn call<R>(store: &mut Store<State>, instance: Instance, name: &str) -> wasmtime::Result<R>
where
    R: ComponentNamedList + Lift + Send + Sync + 'static,
{
    let function = instance.get_typed_func::<(), R>(&mut *store, name)?;
    store.set_epoch_deadline(u64::MAX / 2);
    function.call_async(&mut *store, ()).await
}

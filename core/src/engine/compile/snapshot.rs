//! Snapshots: a component whose initial memory is that of a loaded instance.

use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use super::super::store_state::State;

/// A component with added exports through which its memory can be read.
pub(super) struct InstrumentedComponent<'a> {
    wizer: Wizer,
    context: ComponentContext<'a>,
    bytes: Vec<u8>,
}

/// Prepares a component for a snapshot. Fails with the reason if none can be taken of it.
pub(super) fn instrument(component: &[u8]) -> Result<InstrumentedComponent<'_>, String> {
    let mut wizer = Wizer::new();
    // Keep `load` callable: it is an ordinary export.
    wizer.keep_init_func(true);
    let (context, bytes) =
        wizer.instrument_component(component).map_err(|error| format!("{error:#}"))?;
    Ok(InstrumentedComponent { wizer, context, bytes })
}

/// The most bytes of a module, a limit of the tools that read it.
const MAX_MODULE: u64 = 1 << 30;

/// Bytes that a snapshot adds to the memory.
const OVERHEAD: u64 = 1 << 20;

/// Returns the reason if a snapshot of `memory` bytes, of a component of `component` bytes, would
/// be too large; `None` if it would not.
pub(super) fn too_large(memory: u64, component: usize) -> Option<String> {
    let size = memory.saturating_add(component as u64).saturating_add(OVERHEAD);
    (size > MAX_MODULE).then(|| {
        let mebibytes = memory >> 20;
        format!("its memory has {mebibytes} MiB after load, and a snapshot can hold a little less than 1024 MiB")
    })
}

impl InstrumentedComponent<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// Returns the original component, with the instance's current memory as its initial memory.
    pub(super) async fn take_snapshot(
        &self,
        store: &mut Store<State>,
        instance: Instance,
    ) -> Result<Vec<u8>, String> {
        // The whole memory is read in one call; its size has a limit of its own.
        store.set_hostcall_fuel(usize::MAX);
        let mut access = InstanceAccess { store, instance };
        self.wizer
            .snapshot_component(&self.context, &mut access)
            .await
            .map_err(|error| format!("{error:#}"))
    }
}

// The implementation in wasmtime-wizer is behind a feature that adds garbage collection, threads
// and a cache to the engine.
struct InstanceAccess<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl InstanceAccess<'_> {
    // `instrument` added the functions, so a failure is a fault of the snapshot tool. The panic
    // ends the compile process and is reported.
    #[expect(clippy::expect_used, reason = "the trait has no room for an error")]
    async fn call<R: Lift + Send + Sync + 'static>(
        &mut self,
        interface: &str,
        function: &str,
    ) -> R {
        let (_, interface) = self
            .instance
            .get_export(&mut *self.store, None, interface)
            .expect("the added interface is exported");
        let (_, function) = self
            .instance
            .get_export(&mut *self.store, Some(&interface), function)
            .expect("the added function is exported");
        let function = self
            .instance
            .get_typed_func::<(), (R,)>(&mut *self.store, function)
            .expect("the added function has its type");

        self.store.set_epoch_deadline(u64::MAX / 2);
        function.call_async(&mut *self.store, ()).await.expect("the added function does not trap").0
    }
}

impl ComponentInstanceState for InstanceAccess<'_> {
    async fn call_func_ret_list_u8(
        &mut self,
        interface: &str,
        function: &str,
        contents: impl FnOnce(&[u8]) + Send,
    ) {
        let list: WasmList<u8> = self.call(interface, function).await;
        contents(list.as_le_slice(&*self.store));
    }

    async fn call_func_ret_s32(&mut self, interface: &str, function: &str) -> i32 {
        self.call(interface, function).await
    }

    async fn call_func_ret_s64(&mut self, interface: &str, function: &str) -> i64 {
        self.call(interface, function).await
    }

    async fn call_func_ret_f32(&mut self, interface: &str, function: &str) -> u32 {
        self.call::<f32>(interface, function).await.to_bits()
    }

    async fn call_func_ret_f64(&mut self, interface: &str, function: &str) -> u64 {
        self.call::<f64>(interface, function).await.to_bits()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_snapshot_is_taken_of_a_memory_that_no_module_can_hold() {
        assert_eq!(too_large(1000 << 20, 10 << 20), None);
        let reason = too_large(2 << 30, 1000).unwrap();
        assert!(reason.contains("2048 MiB after load"), "{reason}");
        assert!(too_large(u64::MAX, 1).is_some());
    }
}

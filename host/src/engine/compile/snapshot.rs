//! Turning a loaded instance back into a component that starts out loaded.

use wasmtime::Store;
use wasmtime::component::{Instance, Lift, WasmList};
use wasmtime_wizer::{ComponentContext, ComponentInstanceState, Wizer};

use super::super::state::State;

/// A component with exports added through which its memory can be read.
pub(super) struct Instrumented<'a> {
    wizer: Wizer,
    context: ComponentContext<'a>,
    bytes: Vec<u8>,
}

/// Prepares a component for being snapshotted. Fails with the reason why this one cannot be.
pub(super) fn instrument(component: &[u8]) -> Result<Instrumented<'_>, String> {
    let mut wizer = Wizer::new();
    // `load` stays callable: it is an export like any other.
    wizer.keep_init_func(true);
    let (context, bytes) =
        wizer.instrument_component(component).map_err(|error| format!("{error:#}"))?;
    Ok(Instrumented { wizer, context, bytes })
}

/// The most bytes that a module may have, by the limits of the tools that read it.
const MAX_MODULE: u64 = 1 << 30;

/// Bytes that a snapshot adds beside the memory itself.
const OVERHEAD: u64 = 1 << 20;

/// Why no snapshot can be taken of so many bytes of memory, for a component of that size; `None` if
/// one can.
pub(super) fn too_large(memory: u64, component: usize) -> Option<String> {
    let size = memory.saturating_add(component as u64).saturating_add(OVERHEAD);
    (size > MAX_MODULE).then(|| {
        let mebibytes = memory >> 20;
        format!("its memory has {mebibytes} MiB after load, and a snapshot can hold a little less than 1024 MiB")
    })
}

impl Instrumented<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The original component, with the instance's present memory as its initial one.
    pub(super) async fn take(
        &self,
        store: &mut Store<State>,
        instance: Instance,
    ) -> Result<Vec<u8>, String> {
        // Its whole memory is read in one call, and its size has a limit of its own.
        store.set_hostcall_fuel(usize::MAX);
        let mut access = Access { store, instance };
        self.wizer
            .snapshot_component(&self.context, &mut access)
            .await
            .map_err(|error| format!("{error:#}"))
    }
}

// wasmtime-wizer has an implementation of its own, behind a feature that brings garbage collection,
// threads and a cache into the engine.
struct Access<'a> {
    store: &'a mut Store<State>,
    instance: Instance,
}

impl Access<'_> {
    // The functions were added by `instrument`, so a failure here is a fault of the snapshotter's
    // own; it ends this child and is reported as such.
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

impl ComponentInstanceState for Access<'_> {
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
    fn a_memory_that_no_module_can_hold_is_not_snapshotted() {
        assert_eq!(too_large(1000 << 20, 10 << 20), None);
        let reason = too_large(2 << 30, 1000).unwrap();
        assert!(reason.contains("2048 MiB after load"), "{reason}");
        assert!(too_large(u64::MAX, 1).is_some());
    }
}

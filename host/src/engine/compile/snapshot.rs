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
    let (context, bytes) = wizer.instrument_component(component).map_err(|error| format!("{error:#}"))?;
    Ok(Instrumented { wizer, context, bytes })
}

impl Instrumented<'_> {
    pub(super) fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The original component, with the instance's present memory as its initial one.
    pub(super) async fn take(&self, store: &mut Store<State>, instance: Instance) -> Result<Vec<u8>, String> {
        // Its whole memory is read in one call, and its size has a limit of its own.
        store.set_hostcall_fuel(usize::MAX);
        let mut access = Access { store, instance };
        self.wizer.snapshot_component(&self.context, &mut access).await.map_err(|error| format!("{error:#}"))
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
    async fn call<R: Lift + Send + Sync + 'static>(&mut self, interface: &str, function: &str) -> R {
        let (_, interface) =
            self.instance.get_export(&mut *self.store, None, interface).expect("the added interface is exported");
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
    async fn call_func_ret_list_u8(&mut self, interface: &str, function: &str, contents: impl FnOnce(&[u8]) + Send) {
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

//! The grant and the imports of key-value, and its part in a call.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::super::{Ctx, CtxView, Grant, HostCapability};
use super::KeyValueState;
use crate::model::Capability;

impl HostCapability for KeyValueState {
    const IMPORTS: &'static [&'static str] =
        &["wasi:keyvalue/atomics", "wasi:keyvalue/batch", "wasi:keyvalue/store"];

    const GRANT: Option<Grant> = Some(Grant {
        capability: Capability::KeyValue,
        refusal: "which is not granted; say so in the model.toml of its folder, as in [capabilities] key_value = true",
    });

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        super::add_to_linker(linker)
    }

    fn begin_call(ctx: &mut Ctx) {
        if let Some(state) = &mut ctx.key_value {
            state.begin_call();
        }
    }
}

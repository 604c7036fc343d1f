//! `wasi:keyvalue`: values that a tenant's models share, and that outlive instances, versions and
//! restarts.
//!
//! A value lies under a key in a bucket. Buckets belong to the tenant: all of its models find the
//! same values in a bucket, and no other tenant's model can reach it. An operation is a job of the
//! tenant's store ([`crate::store`]). The guest is suspended until the job is done, and holds no
//! turn meanwhile; a change is durable before the guest continues. A change takes effect as a whole
//! or not at all, even if the call ends early.
//!
//! [`operation`] is the only way to the store, and [`handles`] are what a guest holds between its
//! operations. [`store`], [`atomics`] and [`batch`] are the three interfaces. [`error`] maps
//! failures to the interface's errors.
//!
//! A call that validates a version before it serves finds an empty store, and its writes are
//! discarded. So golden requests have the same responses whatever is stored, and a validation
//! changes nothing for served models.

mod atomics;
mod batch;
mod capability;
mod error;
mod handles;
mod limits;
mod operation;
mod store;

use std::sync::Arc;

use wasmtime::component::{Linker, ResourceTable};

use self::limits::MAX_HANDLES;
use super::{Ctx, CtxView, HasCtx};
use crate::store::{InMemoryKeyValue, KeyValueStore, Stores};
use crate::tenant::{CpuShare, Tenant};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world key-value {
                import wasi:keyvalue/store@0.2.0-draft2;
                import wasi:keyvalue/atomics@0.2.0-draft2;
                import wasi:keyvalue/batch@0.2.0-draft2;
            }
        ",
        world: "wardian:host/key-value",
        imports: { default: async },
        with: {
            "wasi:keyvalue/store.bucket": super::handles::Bucket,
            "wasi:keyvalue/atomics.cas": super::handles::Cas,
        },
    });
}

/// The grant of one version: its tenant's values.
pub struct KeyValueGrant {
    store: Arc<dyn KeyValueStore>,
    tenant: Arc<Tenant>,
}

impl KeyValueGrant {
    /// Grants the use of the tenant's values. The CPU time of its operations is charged to the
    /// tenant.
    pub fn new(stores: &Stores, tenant: Arc<Tenant>) -> KeyValueGrant {
        let payer = CpuShare::new(tenant.account().clone());
        let store = stores.charged_key_values(&tenant, payer);

        KeyValueGrant { store, tenant }
    }
}

/// The state of an instance, created at first use.
pub(super) struct KeyValueState {
    /// The open handles, of [`handles`].
    table: ResourceTable,
    /// The number of operations in the current call.
    operations: u32,
    /// The store of a call that validates a version.
    validation_store: Option<Arc<InMemoryKeyValue>>,
}

impl KeyValueState {
    fn new() -> Self {
        let mut table = ResourceTable::new();
        table.set_max_capacity(MAX_HANDLES);
        KeyValueState { table, operations: 0, validation_store: None }
    }

    /// Starts another call. Handles stay open.
    fn begin_call(&mut self) {
        self.operations = 0;
        self.validation_store = None;
    }
}

impl Ctx {
    fn key_value_state(&mut self) -> &mut KeyValueState {
        self.key_value.get_or_insert_with(|| Box::new(KeyValueState::new()))
    }
}

pub(super) fn add_to_linker<T: CtxView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::keyvalue::{atomics, batch, store};
    store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    atomics::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    batch::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
}

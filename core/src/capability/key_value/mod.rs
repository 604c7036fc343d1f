//! `wasi:keyvalue`: values that a tenant's models share, and that outlive instances, versions and
//! restarts.
//!
//! A value lies under a key in a bucket. Buckets belong to the tenant: all of its models find the
//! same values in a bucket, and no other tenant's model can reach it. An operation is a job of the
//! tenant's store ([`crate::store`]). The guest is suspended until the job is done, and holds no
//! turn meanwhile; a change is durable before the guest continues. A change takes effect as a whole
//! or not at all, even if the call ends early.
//!
//! [`opened`] holds an instance's handles and is the only way to the store. [`store`], [`atomics`]
//! and [`batch`] are the three interfaces. [`error`] maps failures to the interface's errors.
//!
//! A call that validates a version before it serves finds an empty store, and its writes are
//! discarded. So golden requests have the same responses whatever is stored, and a validation
//! changes nothing for served models.

mod atomics;
mod batch;
mod capability;
mod error;
mod limits;
mod opened;
mod store;

use std::sync::Arc;

use wasmtime::component::Linker;

pub(super) use opened::OpenHandles;

use super::{CtxView, HasCtx};
use crate::store::{KeyValueStore, Stores};
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
            "wasi:keyvalue/store.bucket": super::opened::Bucket,
            "wasi:keyvalue/atomics.cas": super::opened::Cas,
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

pub(super) fn add_to_linker<T: CtxView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::keyvalue::{atomics, batch, store};
    store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    atomics::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    batch::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
}

//! `wasi:keyvalue`: values that a tenant's models share, and that outlive instances, versions and
//! restarts.
//!
//! A value lies under a key in a bucket, and buckets are the tenant's: whichever of its models
//! opens a bucket of that name finds the same values, and no other tenant's model can name it. An
//! operation is a job for the tenant's store ([`crate::store`]): the guest is suspended until it is
//! done, holds no turn meanwhile, and hears of success once the change is kept. A change is carried
//! out as a whole or not at all, whatever becomes of the call.
//!
//! [`opened`] is what an instance has open, and the one way to the store; [`single`], [`atomics`]
//! and [`batch`] are the three interfaces; [`refusal`] says in the interface's words what was not
//! done.
//!
//! A call that tries a version out before it serves finds nothing there, and nothing of what it
//! writes remains: golden requests are answered alike whatever has been learnt meanwhile, and a
//! trial changes nothing for those who are served.

mod atomics;
mod batch;
mod opened;
mod refusal;
mod single;

use std::sync::Arc;

use rusqlite::Connection;
use wasmtime::component::Linker;

pub(super) use opened::Opened;

use super::{CtxView, HasCtx};
use crate::store::{Store, StoreError};
use crate::tenant::{Share, Tenant, thread_time};

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

/// What one version is granted: its tenant's values.
pub struct KeyValue {
    store: Store,
    tenant: Arc<Tenant>,
    /// Where the store's work is charged.
    share: Arc<Share>,
}

impl KeyValue {
    /// The grant to use that tenant's values, which are in `store`.
    pub fn new(store: Store, tenant: Arc<Tenant>) -> KeyValue {
        let share = Share::new(tenant.account().clone());
        KeyValue { store, tenant, share }
    }

    async fn read<T: Send + 'static>(self: &Arc<Self>, job: impl Job<T>) -> Result<T, StoreError> {
        let place = self.store.place().await;
        let grant = self.clone();
        self.store.read(move |connection| grant.charged(place, || job(connection))).await
    }

    async fn write<T: Send + 'static>(self: &Arc<Self>, job: impl Job<T>) -> Result<T, StoreError> {
        let place = self.store.place().await;
        let grant = self.clone();
        self.store.write(move |connection| grant.charged(place, || job(connection))).await
    }

    /// Does something at the tenant's expense. The place is held until it is done, even if nobody
    /// waits any more.
    fn charged<T>(&self, _place: impl Sized, work: impl FnOnce() -> T) -> T {
        let before = thread_time();
        let outcome = work();
        self.share.charge(thread_time().saturating_sub(before).as_nanos() as u64);
        outcome
    }
}

/// Something to be done with a tenant's values.
trait Job<T>: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static {}

impl<T, F: FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static> Job<T> for F {}

pub(super) fn add_to_linker<T: CtxView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    use bindings::wasi::keyvalue::{atomics, batch, store};
    store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    atomics::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    batch::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
}

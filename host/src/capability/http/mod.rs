//! `wasi:http/outgoing-handler`: requests to the origins that a model's `model.toml` lists.
//!
//! A request passes these, in this order: [`outgoing`] asks whether it may be sent at all, that is
//! whether its origin is listed, and takes a place for it among those of its call; [`request`]
//! writes it anew from the origin that was checked, so that no other part of it can lead elsewhere;
//! [`egress`] sends it over one of the tenant's connections; [`handshake`] and [`connect`] make
//! those, to an address that [`address`] permits and no other; [`body`] counts what goes and comes;
//! [`fault`] says in the interface's words what went wrong.
//!
//! Redirects are not followed: the guest sees them, and what it then asks for is checked like
//! anything else. Everything a call has under way ends with its instance, and so with its deadline
//! at the latest.

mod address;
mod body;
mod connect;
mod connection;
mod egress;
mod fault;
mod handshake;
mod outgoing;
mod request;
mod trust;

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtxView};

pub use egress::Egress;
pub use trust::{Trust, TrustError};

pub(super) use outgoing::Outgoing;

use super::wasi::Wasi;
use super::{Ctx, CtxView};
use crate::model::Origin;
use crate::tenant::Tenant;

/// What one version is granted: its tenant's client, and whom it may call with it.
pub struct Http {
    egress: Egress,
    origins: Vec<Origin>,
    tenant: Arc<Tenant>,
}

impl Http {
    /// The grant to call these origins, for as long as the tenant may.
    pub fn new(egress: Egress, origins: Vec<Origin>, tenant: Arc<Tenant>) -> Http {
        Http { egress, origins, tenant }
    }

    /// Whether that origin is listed, by the model and, as things are now, by its tenant's grants.
    fn lists(&self, origin: &Origin) -> bool {
        let granted =
            || self.tenant.settings().grants.http.check(std::slice::from_ref(origin)).is_ok();
        self.origins.contains(origin) && granted()
    }
}

impl Ctx {
    /// The instance's outgoing HTTP, made when first used.
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Ctx { grants, loading, call_log, wasi, http, .. } = self;
        let wasi = wasi.get_or_insert_with(|| Box::new(Wasi::new(grants, call_log)));
        let http = http
            .get_or_insert_with(|| Box::new(Outgoing::new(grants.clone(), Arc::clone(call_log))));
        http.view(wasi.table(), *loading)
    }

    /// Whether the guest still holds a request or an answer that it has not read to its end.
    pub fn holds_requests(&self) -> bool {
        self.http.as_ref().is_some_and(|http| http.holds_requests())
    }
}

pub(super) fn add_to_linker<T: CtxView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
    let options = LinkOptions::default();
    outgoing_handler::add_to_linker::<T, WasiHttp>(linker, |data| data.ctx_mut().http())?;
    types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), |data| data.ctx_mut().http())
}

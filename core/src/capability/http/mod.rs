//! `wasi:http/outgoing-handler`: requests to the origins that a model's `model.toml` lists.
//!
//! The path of a request: [`outgoing`] checks that its origin is listed and takes a permit of its
//! call. [`rebuild_request`] rebuilds it from the checked origin, so that no other part of it can
//! lead elsewhere. [`client`] sends it over a connection of the tenant. [`tls_connector`] and
//! [`tcp_connector`] open connections, only to addresses that [`address`] permits. [`body`] limits
//! the bodies of both directions. [`error`] translates errors to those of the interface.
//!
//! Redirects are not followed: the guest receives them, and its next request is checked like any
//! other. All requests of a call end with its instance, and so at its deadline at the latest.

mod address;
mod body;
mod client;
mod connection;
mod error;
mod outgoing;
mod rebuild_request;
mod tcp_connector;
mod tls_connector;
mod tls_roots;

use std::sync::Arc;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;
use wasmtime_wasi_http::p2::bindings::LinkOptions;
use wasmtime_wasi_http::p2::bindings::http::{outgoing_handler, types};
use wasmtime_wasi_http::{WasiHttp, WasiHttpCtxView};

pub use client::TenantClient;
pub use tls_roots::{EgressConfig, TlsRoots, TlsRootsError};

pub(super) use outgoing::Outgoing;

use super::wasi::Wasi;
use super::{Ctx, CtxView, Grant, HostCapability};
use crate::model::{Capability, Origin};
use crate::tenant::Tenant;

/// The grant of one version: the tenant's client, and the origins that the version may call.
pub struct HttpGrant {
    client: TenantClient,
    origins: Vec<Origin>,
    tenant: Arc<Tenant>,
}

impl HttpGrant {
    /// The grant to call these origins. The tenant's current grants limit it further.
    pub fn new(client: TenantClient, origins: Vec<Origin>, tenant: Arc<Tenant>) -> HttpGrant {
        HttpGrant { client, origins, tenant }
    }

    /// True if the model lists the origin and its tenant's current grants permit it.
    fn allows(&self, origin: &Origin) -> bool {
        let granted =
            || self.tenant.settings().grants.http.check(std::slice::from_ref(origin)).is_ok();
        self.origins.contains(origin) && granted()
    }
}

impl Ctx {
    /// The instance's outgoing HTTP, created at first use.
    fn http(&mut self) -> WasiHttpCtxView<'_> {
        let Ctx { grants, loading, call_log, wasi, http, .. } = self;
        let wasi = wasi.get_or_insert_with(|| Box::new(Wasi::new(grants, call_log)));
        let http = http
            .get_or_insert_with(|| Box::new(Outgoing::new(grants.clone(), Arc::clone(call_log))));
        http.view(wasi.table(), *loading)
    }
}

impl HostCapability for Outgoing {
    const IMPORTS: &'static [&'static str] = &["wasi:http/outgoing-handler", "wasi:http/types"];

    const GRANT: Option<Grant> = Some(Grant {
        capability: Capability::Http,
        refusal: "which is not granted; list the origins it may call in the model.toml of its folder, as in \
             [capabilities] http = [\"https://api.example.com\"]",
    });

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        let options = LinkOptions::default();
        outgoing_handler::add_to_linker::<T, WasiHttp>(linker, |data| data.ctx_mut().http())?;
        types::add_to_linker::<T, WasiHttp>(linker, &(&options).into(), |data| {
            data.ctx_mut().http()
        })
    }

    fn holds_resources(ctx: &Ctx) -> bool {
        ctx.http.as_ref().is_some_and(|http| http.holds_requests())
    }
}

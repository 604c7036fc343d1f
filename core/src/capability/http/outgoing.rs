//! The outgoing requests of one instance: which are sent, and how many at once.

use std::future::{Future, ready};
use std::sync::Arc;

use hyper::{Method, Request, Response};
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use wasmtime::component::ResourceTable;
use wasmtime_wasi_http::{
    Error, RequestOptions, WasiBody, WasiHttpCtx, WasiHttpCtxView, WasiHttpHooks,
};

use super::super::Grants;
use super::super::logging::{CallLog, Level, write_line};
use super::super::wasi::MAX_RESOURCES;
use super::client::{TenantClient, Timeouts};
use super::rebuild_request::rebuild_request;
use crate::model::Origin;
use crate::tenant::{QuotaGuard, Resource};

/// The most concurrent requests of a call, including responses that are not yet read to their end.
/// A guest has one thread; more requests would only hold connections.
const MAX_REQUESTS: usize = 16;

/// Bytes of one set of headers and of the host's overhead for them. Servers accept 8 to 16 KiB.
const MAX_FIELDS: usize = 32 << 10;

/// Bytes that a guest may write to a body at once, which the host buffers for a slow server.
const BODY_CHUNK: usize = 64 << 10;

/// Bytes charged for a handle: headers of a request or response, or a part of a body.
const HANDLE_BYTES: u64 = 64 << 10;

/// The number of handles charged together.
const HANDLE_BATCH: usize = 8;

/// The outgoing requests of an instance.
pub(in crate::capability) struct Outgoing {
    ctx: WasiHttpCtx,
    hooks: Hooks,
    /// `None` if HTTP is not granted, so that nothing can be sent.
    charged: Option<ChargedHandles>,
}

/// The handles charged to the tenant's memory quota. Like the guest's own memory, they never
/// shrink.
struct ChargedHandles {
    handles: usize,
    /// `None` if the tenant already exceeds its quota.
    memory: Option<QuotaGuard>,
}

struct Hooks {
    grants: Grants,
    call_log: Arc<CallLog>,
    loading: bool,
    permits: Arc<Semaphore>,
}

/// The reason why a request is not sent.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error(
        "a model cannot send requests while it loads; its memory is kept for every instance, so ask in infer"
    )]
    Loading,
    #[error("the model's [capabilities] http lists no origin")]
    NotGranted,
    #[error("its URL has no usable origin: {0}")]
    NoOrigin(&'static str),
    #[error("the model's [capabilities] http does not list this origin")]
    NotListed,
    #[error("CONNECT would make a tunnel")]
    Tunnel,
    #[error("{MAX_REQUESTS} requests are under way; read or drop an answer first")]
    TooMany,
}

impl Outgoing {
    pub(in crate::capability) fn new(grants: Grants, call_log: Arc<CallLog>) -> Self {
        let mut ctx = WasiHttpCtx::new();
        ctx.set_field_size_limit(MAX_FIELDS);

        let places = Arc::new(Semaphore::new(MAX_REQUESTS));
        let paid = grants.http.as_ref();
        let paid = paid.map(|http| ChargedHandles {
            handles: 0,
            memory: http.tenant.take(Resource::Memory, 0).ok(),
        });

        Outgoing {
            ctx,
            hooks: Hooks { grants, call_log, loading: false, permits: places },
            charged: paid,
        }
    }

    /// Charges the tenant's memory quota for a few handles more than the guest holds. If the quota
    /// is used up, the guest gets no more handles.
    pub(in crate::capability) fn charge_handles(&mut self, table: &mut ResourceTable) {
        let Some(ChargedHandles { handles, memory }) = &mut self.charged else { return };
        let target = (table.iter_mut().count() + HANDLE_BATCH / 2).min(MAX_RESOURCES);
        let mut pay = || {
            memory
                .as_mut()
                .is_some_and(|memory| memory.grow(HANDLE_BYTES * HANDLE_BATCH as u64).is_ok())
        };

        while *handles < target && pay() {
            *handles += HANDLE_BATCH;
        }

        table.set_max_capacity((*handles).min(MAX_RESOURCES));
    }

    pub(super) fn view<'a>(
        &'a mut self,
        table: &'a mut ResourceTable,
        loading: bool,
    ) -> WasiHttpCtxView<'a> {
        self.hooks.loading = loading;
        self.charge_handles(table);
        WasiHttpCtxView { hooks: &mut self.hooks, table, ctx: &mut self.ctx }
    }

    pub(super) fn holds_requests(&self) -> bool {
        self.hooks.permits.available_permits() < MAX_REQUESTS
    }
}

type SendOutcome =
    Result<(Response<WasiBody>, Box<dyn Future<Output = Result<(), Error>> + Send>), Error>;

impl WasiHttpHooks for Hooks {
    // `rewrite` sets it.
    fn set_host_header(&mut self) -> bool {
        false
    }

    fn send_request(
        &mut self,
        request: Request<WasiBody>,
        options: Option<RequestOptions>,
        _read: Box<dyn Future<Output = Result<(), Error>> + Send>,
    ) -> Box<dyn Future<Output = SendOutcome> + Send> {
        match self.admit(&request) {
            Ok((client, origin, permit)) => {
                let log = self.log();
                Box::new(send(client, request, origin, Timeouts::new(options), permit, log))
            }
            Err(refusal) => {
                self.log()(&describe_request(&request), &refusal);
                Box::new(ready(Err(refusal.into())))
            }
        }
    }

    fn p2_outgoing_body_chunk_size(&mut self) -> usize {
        BODY_CHUNK
    }
}

impl Hooks {
    /// Decides whether the request may be sent. Returns the tenant's client, the checked origin,
    /// and a permit of the call.
    fn admit(
        &self,
        request: &Request<WasiBody>,
    ) -> Result<(TenantClient, Origin, OwnedSemaphorePermit), Refusal> {
        if self.loading {
            return Err(Refusal::Loading);
        }

        let http = self.grants.http.as_deref().ok_or(Refusal::NotGranted)?;

        if request.method() == Method::CONNECT {
            return Err(Refusal::Tunnel);
        }

        let origin = origin(request)?;
        if !http.allows(&origin) {
            return Err(Refusal::NotListed);
        }

        let permit = self.permits.clone().try_acquire_owned().map_err(|_| Refusal::TooMany)?;
        Ok((http.client.clone(), origin, permit))
    }

    /// Returns a function that logs a refused request to the model's log.
    fn log(&self) -> impl Fn(&str, &dyn std::fmt::Display) + Send + Sync + 'static {
        let (grants, call_log) = (self.grants.clone(), self.call_log.clone());
        move |request, why| {
            write_line(
                &grants,
                &call_log,
                Level::Warn,
                "http",
                &format!("refused {request}: {why}"),
            )
        }
    }
}

fn origin(request: &Request<WasiBody>) -> Result<Origin, Refusal> {
    let scheme = request.uri().scheme_str().unwrap_or_default();
    let authority = request.uri().authority().map_or("", |authority| authority.as_str());
    Origin::from_parts(scheme, authority).map_err(Refusal::NoOrigin)
}

/// Describes the request for a log. The path and query are left out: they can contain a secret.
fn describe_request(request: &Request<WasiBody>) -> String {
    let uri = request.uri();
    let host = uri.host().unwrap_or_default();
    let port = uri.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{} {}://{host}{port}", request.method(), uri.scheme_str().unwrap_or_default())
}

async fn send(
    client: TenantClient,
    request: Request<WasiBody>,
    origin: Origin,
    timeouts: Timeouts,
    permit: OwnedSemaphorePermit,
    log: impl Fn(&str, &dyn std::fmt::Display) + Send,
) -> SendOutcome {
    let shown = describe_request(&request);
    let outcome = match rebuild_request(request, &origin) {
        Ok(request) => client.send(request, timeouts, permit).await,
        Err(error) => Err(error),
    };

    if let Err(Error::DestinationIpProhibited) = outcome {
        log(
            &shown,
            &"its name leads to an address that is not public; list that very address if it is meant",
        );
    }

    let connection: Box<dyn Future<Output = Result<(), Error>> + Send> = Box::new(ready(Ok(())));
    Ok((outcome?, connection))
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Error {
        match refusal {
            // The guest's load error quotes the text.
            Refusal::Loading => Error::InternalError(Some(refusal.to_string())),
            Refusal::NotGranted | Refusal::NotListed | Refusal::NoOrigin(_) => {
                Error::HttpRequestDenied
            }
            Refusal::Tunnel => Error::HttpRequestMethodInvalid,
            Refusal::TooMany => Error::ConnectionLimitReached,
        }
    }
}

#[cfg(test)]
mod tests;

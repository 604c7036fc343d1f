//! The capabilities of models: the interfaces that the host implements for them, one file each.
//!
//! A version is granted a fixed set of capabilities when it loads ([`Grants`]). Each instance has a
//! [`Ctx`] made from them, on which the generated traits are implemented, so that a capability
//! does not depend on the engine's own state. A component that imports anything else is refused
//! before it is compiled, see [`import_refusal`]: a missing grant shows when a file is dropped, not
//! at the first request. [`capability_list`] has all capabilities.

mod artifacts;
mod call_context;
mod call_values;
mod capability_list;
mod config;
mod convert;
mod emitter;
mod host_abort;
pub mod http;
mod kernels;
mod key_value;
mod logging;
mod session;
mod sql;
mod tasks;
pub mod types;
mod wasi;
mod yield_if_large;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};
use wasmtime_wasi::WasiView;

pub use artifacts::{Sidecar, Sidecars};
pub use call_context::CallContext;
pub use call_values::CallValues;
pub use capability_list::{add_to_linker, import_refusal, required_capability};
pub use config::ConfigValues;
pub use emitter::{Emitter, PartReceiver, StreamLimits};
pub use host_abort::HostAbort;
use http::{HttpGrant, Outgoing};
use kernels::Kernels;
pub use kernels::{KernelGrant, NextSlice};
pub use key_value::KeyValueGrant;
use key_value::KeyValueState;
pub use logging::{Level, LogLine, LogSink, sanitize_line};
pub use session::Session;
use sql::SqlState;
pub use tasks::{DeferredTasks, TaskLimits};
pub use yield_if_large::yield_if_large;

use crate::database::Database;
use crate::model::{Capability, ConfigTable};
use crate::tenant::CpuShare;

/// A capability, from the imports of a component to the end of a call.
///
/// A new capability has a module of its own with a type that implements this, an entry in
/// [`capability_list`], its WIT files and its documentation. If an instance keeps state for it,
/// that is a field of [`Ctx`]; if it depends on the tenant or the model, there is a field in
/// [`Grants`].
trait HostCapability {
    /// The interfaces, without their versions.
    const IMPORTS: &'static [&'static str];

    /// The grant that the imports require; `None` if every component may import them.
    const GRANT: Option<Grant> = None;

    /// Links the interfaces.
    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()>;

    /// Prepares an instance for another call, whose context is already set.
    fn begin_call(_ctx: &mut Ctx) {}

    /// True at the end of a call if the guest still holds resources that must end with it. Its
    /// instance is dropped then.
    fn holds_resources(_ctx: &Ctx) -> bool {
        false
    }
}

/// A grant in `model.toml`.
#[derive(Clone, Copy)]
struct Grant {
    capability: Capability,
    /// The reason and the remedy for a component without the grant, as a part of a sentence.
    refusal: &'static str,
}

/// The grants of one version, fixed when it loads.
#[derive(Clone)]
pub struct Grants {
    /// The values that `wasi:config` returns.
    pub config: ConfigValues,
    /// The sidecar files that `load` may read, by name.
    pub sidecars: Sidecars,
    /// The origins that the version may call over HTTP, and the client; `None` if HTTP is not
    /// granted.
    pub http: Option<Arc<HttpGrant>>,
    /// The tenant's key-value store; `None` if it is not granted.
    pub key_value: Option<Arc<KeyValueGrant>>,
    /// The tenant's database; `None` if it is not granted.
    pub sql: Option<Arc<Database>>,
    /// The host computes products of matrices and convolutions; `None` if that is not granted.
    pub kernels: Option<KernelGrant>,
    /// The receiver of the guest's log lines.
    pub log: LogSink,
}

/// The capabilities of one instance.
pub struct Ctx {
    grants: Grants,
    /// `load` is running: sidecar files can be read, and all that outlives the instance is refused.
    loading: bool,
    /// The live configuration, as of the start of the current call.
    live: Arc<ConfigTable>,
    /// The context of the current call.
    call: Arc<CallContext>,
    /// The log of the current call.
    call_log: Arc<logging::CallLog>,
    // Created at first use: most models never use WASI after `load`, and creating it costs more
    // than a small inference.
    wasi: Option<Box<wasi::Wasi>>,
    /// An interface of WASI with resources has been used.
    used_wasi: bool,
    // Created at first use, like `wasi`.
    http: Option<Box<Outgoing>>,
    // Created at first use, like `wasi`.
    key_value: Option<Box<KeyValueState>>,
    sql: SqlState,
    kernels: Kernels,
}

impl Ctx {
    /// The capabilities of a new instance. `call` is the context of its first call.
    pub fn new(grants: Grants, call: Arc<CallContext>) -> Self {
        let call_log = Arc::new(logging::CallLog::new(call.request_id.clone()));
        let live = grants.config.live();

        Ctx {
            grants,
            loading: false,
            live,
            call,
            call_log,
            wasi: None,
            used_wasi: false,
            http: None,
            key_value: None,
            sql: SqlState::default(),
            kernels: Kernels::default(),
        }
    }

    /// Marks the start or the end of `load`.
    pub fn set_loading(&mut self, loading: bool) {
        self.loading = loading;
    }

    /// Starts another call, with its own context and log.
    pub fn begin_call(&mut self, call: Arc<CallContext>) {
        self.call = call;
        self.begin_call_of_all();
    }

    /// Releases the context of the call that ended.
    pub fn end_call(&mut self) {
        self.call = Arc::default();
    }

    /// True if the guest may have had a handle of a host resource: it has used an interface of WASI
    /// or a capability with resources.
    pub fn may_have_had_handles(&self) -> bool {
        self.used_wasi
            || self.http.is_some()
            || self.key_value.is_some()
            || self.grants.sql.is_some()
    }

    /// The end of the guest's standard error: after a panic, usually its message.
    pub fn stderr_tail(&self) -> String {
        self.wasi.as_ref().map(|wasi| wasi.stderr_tail()).unwrap_or_default()
    }
}

/// Access to the [`Ctx`] in a store's data.
pub trait CtxView: Send + 'static {
    /// The instance's capabilities.
    fn ctx_mut(&mut self) -> &mut Ctx;

    /// Returns the share that the current call is charged to, if the call runs in a turn.
    fn share_in_turn(&self) -> Option<&Arc<CpuShare>>;

    /// Returns what to wait for if the guest's time slice has ended, and `None` if it has not.
    /// Fails if the call has used up its time.
    fn end_time_slice(&mut self) -> wasmtime::Result<Option<NextSlice>>;
}

/// Tells the generated code that the implementations borrow a [`Ctx`].
struct HasCtx;

impl HasData for HasCtx {
    type Data<'a> = &'a mut Ctx;
}

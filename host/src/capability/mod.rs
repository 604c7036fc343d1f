//! The capabilities of models: the interfaces that the host implements for them, one file each.
//!
//! A version is granted a fixed set of capabilities when it loads ([`Grants`]). Each instance has a
//! [`Ctx`] made from them, on which the generated traits are implemented, so that a capability
//! does not depend on the engine's own state. A component that imports anything else is refused
//! before it is compiled, see [`import_refusal`]: a missing grant shows when a file is dropped, not
//! at the first request. [`add_to_linker`] links all interfaces.

mod artifacts;
mod aside;
mod call_context;
mod call_values;
mod config;
mod convert;
mod emitter;
mod host_abort;
pub mod http;
mod key_value;
mod logging;
mod session;
mod sql;
mod tasks;
pub mod types;
mod wasi;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

pub use artifacts::{Sidecar, Sidecars};
pub use aside::yield_if_large;
pub use call_context::CallContext;
pub use call_values::CallValues;
pub use config::ConfigValues;
pub use emitter::{Emitter, PartReceiver, StreamLimits};
pub use host_abort::HostAbort;
use http::{HttpGrant, Outgoing};
pub use key_value::KeyValueGrant;
use key_value::OpenHandles;
pub use logging::{Level, LogLine, LogSink, sanitize_line};
pub use session::Session;
use sql::SqlState;
pub use tasks::{DeferredTasks, TaskLimits};

use crate::database::Database;
use crate::model::{Capability, ConfigTable};

/// Generated bindings of the small interfaces; the others have bindings in their own files.
mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world capabilities {
                import wardian:model/artifacts@0.1.0;
                import wasi:logging/logging@0.1.0-draft;
                import wasi:config/store@0.2.0-rc.1;
            }
        ",
        world: "wardian:host/capabilities",
    });
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
    scope: Arc<CallContext>,
    /// The log of the current call.
    call_log: Arc<logging::CallLog>,
    // Created at first use: most models never use WASI after `load`, and creating it costs more
    // than a small inference.
    wasi: Option<Box<wasi::Wasi>>,
    // Created at first use, like `wasi`.
    http: Option<Box<Outgoing>>,
    // Created at first use, like `wasi`.
    key_value: Option<Box<OpenHandles>>,
    sql: SqlState,
}

impl Ctx {
    /// The capabilities of a new instance. `scope` is that of its first call.
    pub fn new(grants: Grants, scope: Arc<CallContext>) -> Self {
        let call_log = Arc::new(logging::CallLog::new(scope.request_id.clone()));
        let live = grants.config.live();

        Ctx {
            grants,
            loading: false,
            live,
            scope,
            call_log,
            wasi: None,
            http: None,
            key_value: None,
            sql: SqlState::default(),
        }
    }

    /// Marks the start or the end of `load`.
    pub fn set_loading(&mut self, loading: bool) {
        self.loading = loading;
    }

    /// Starts another call, with its own context and log.
    pub fn begin_call(&mut self, scope: Arc<CallContext>) {
        self.call_log.begin(scope.request_id.clone());
        self.live = self.grants.config.live();
        self.scope = scope;

        if let Some(opened) = &mut self.key_value {
            opened.begin_call();
        }
    }

    /// Releases the context of the call that ended.
    pub fn end_call(&mut self) {
        self.scope = Arc::default();
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
}

/// Tells the generated code that the implementations borrow a [`Ctx`].
struct HasCtx;

impl HasData for HasCtx {
    type Data<'a> = &'a mut Ctx;
}

/// Links all interfaces that a model can be granted.
pub fn add_to_linker<T: CtxView + wasmtime_wasi::WasiView>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    bindings::wardian::model::artifacts::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    bindings::wasi::logging::logging::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    bindings::wasi::config::store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    call_values::add_to_linker(linker)?;
    emitter::add_to_linker(linker)?;
    session::add_to_linker(linker)?;
    tasks::add_to_linker(linker)?;
    http::add_to_linker(linker)?;
    key_value::add_to_linker(linker)?;
    sql::add_to_linker(linker)?;

    wasi::add_to_linker(linker)
}

/// The imports permitted to every component, without their versions.
///
/// Of WASI only what a program's standard library needs to start: no sockets, and a filesystem
/// without directories.
const ALWAYS_GRANTED: [&str; 28] = [
    "wardian:model/artifacts",
    "wardian:model/call-values",
    "wardian:model/emitter",
    "wardian:model/session",
    "wardian:model/tasks",
    "wardian:model/types",
    "wasi:cli/environment",
    "wasi:cli/exit",
    "wasi:cli/stderr",
    "wasi:cli/stdin",
    "wasi:cli/stdout",
    "wasi:cli/terminal-input",
    "wasi:cli/terminal-output",
    "wasi:cli/terminal-stderr",
    "wasi:cli/terminal-stdin",
    "wasi:cli/terminal-stdout",
    "wasi:clocks/monotonic-clock",
    "wasi:clocks/wall-clock",
    "wasi:config/store",
    "wasi:filesystem/preopens",
    "wasi:filesystem/types",
    "wasi:io/error",
    "wasi:io/poll",
    "wasi:io/streams",
    "wasi:logging/logging",
    "wasi:random/insecure",
    "wasi:random/insecure-seed",
    "wasi:random/random",
];

/// The imports that require a grant.
const GRANTED_ON_REQUEST: [(&str, Capability); 6] = [
    ("wardian:model/sql", Capability::Sql),
    ("wasi:http/outgoing-handler", Capability::Http),
    ("wasi:http/types", Capability::Http),
    ("wasi:keyvalue/atomics", Capability::KeyValue),
    ("wasi:keyvalue/batch", Capability::KeyValue),
    ("wasi:keyvalue/store", Capability::KeyValue),
];

/// Returns the capability that an import, such as `wasi:keyvalue/store@0.2.0`, requires; `None` if
/// it requires none or if no capability permits it.
pub fn required_capability(import: &str) -> Option<Capability> {
    let interface = without_version(import);
    GRANTED_ON_REQUEST
        .iter()
        .find(|(name, _)| *name == interface)
        .map(|&(_, capability)| capability)
}

fn without_version(import: &str) -> &str {
    import.split_once('@').map_or(import, |(interface, _version)| interface)
}

/// Returns the reason and a remedy if a component may not import an interface; `None` if it may.
pub fn import_refusal(import: &str, granted: &[Capability]) -> Option<&'static str> {
    if ALWAYS_GRANTED.contains(&without_version(import)) {
        return None;
    }

    match required_capability(import) {
        Some(capability) if granted.contains(&capability) => None,
        Some(Capability::Http) => Some(
            "which is not granted; list the origins it may call in the model.toml of its folder, as in \
             [capabilities] http = [\"https://api.example.com\"]",
        ),
        Some(Capability::KeyValue) => Some(
            "which is not granted; say so in the model.toml of its folder, as in [capabilities] key_value = true",
        ),
        Some(Capability::Sql) => Some(
            "which is not granted; say so in the model.toml of its folder, as in [capabilities] sql = true",
        ),
        None => Some("which is not granted"),
    }
}

#[cfg(test)]
mod tests {
    use super::{Capability, GRANTED_ON_REQUEST, import_refusal};

    #[test]
    fn imports_that_reach_outside_are_not_granted() {
        for import in ["wasi:io/streams@0.2.6", "wasi:random/random@0.2.0"] {
            assert_eq!(import_refusal(import, &[]), None, "{import}");
        }

        for import in [
            "wasi:http/incoming-handler@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:sql/query",
            "x",
            "",
        ] {
            assert_eq!(
                import_refusal(import, &[Capability::Http]),
                Some("which is not granted"),
                "{import}"
            );
        }
    }

    #[test]
    fn some_imports_require_a_grant() {
        for (import, capability) in GRANTED_ON_REQUEST {
            let import = format!("{import}@0.2.0");
            assert_eq!(import_refusal(&import, &[capability]), None, "{import}");
            let says = format!("[capabilities] {} = ", capability.name());
            assert!(import_refusal(&import, &[]).unwrap().contains(&says), "{import}");
        }
    }
}

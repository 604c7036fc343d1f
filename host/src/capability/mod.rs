//! What a model may ask of the host, one file per interface.
//!
//! A version is granted a fixed set of capabilities when it loads ([`Grants`]); each instance
//! carries a [`Ctx`] made from it. A component that imports anything else is refused before it is
//! compiled, see [`refusal`], so a missing grant shows when a file is dropped and never at the
//! first request.
//!
//! Each file has a view on which the generated traits are implemented, so that a capability knows
//! nothing of the engine's own state; [`add_to_linker`] links them all.

mod artifacts;
mod aside;
mod config;
mod convert;
mod emitter;
pub mod http;
mod interrupted;
mod key_value;
mod logging;
mod scope;
mod session;
mod sql;
mod tasks;
pub mod types;
mod values;
mod wasi;

use std::sync::Arc;

use wasmtime::component::{HasData, Linker};

pub use artifacts::{Sidecar, Sidecars};
pub use aside::step_aside;
pub use config::ConfigValues;
pub use emitter::{Emitted, Emitter, StreamLimits};
use http::{Http, Outgoing};
pub use interrupted::Interrupted;
pub use key_value::KeyValue;
use key_value::Opened;
pub use logging::{Level, LogLine, LogSink, clean};
pub use scope::Scope;
pub use session::Session;
use sql::Sql;
pub use tasks::{Deferrals, Room};
pub use values::Values;

use crate::database::Database;
use crate::model::{Capability, ConfigTable};

/// The generated bindings of the imports that are ours to implement.
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

/// What one version of a model may use, fixed when it loads.
#[derive(Clone)]
pub struct Grants {
    /// The values that `wasi:config` answers with.
    pub config: ConfigValues,
    /// The sidecar files that `load` may read, by name.
    pub sidecars: Sidecars,
    /// Whom it may call over HTTP, and with which client. `None` where it may call nobody.
    pub http: Option<Arc<Http>>,
    /// Its tenant's values by key. `None` where it may use none.
    pub key_value: Option<Arc<KeyValue>>,
    /// Its tenant's database. `None` where it has none.
    pub sql: Option<Arc<Database>>,
    /// Where the guest's log lines go.
    pub log: LogSink,
}

/// One instance's hold on what it was granted.
pub struct Ctx {
    grants: Grants,
    /// While this is set, sidecar files can be read and requests are refused.
    loading: bool,
    /// The live part of the configuration as it was when the present call began.
    live: Arc<ConfigTable>,
    /// What the present call has to do with.
    scope: Arc<Scope>,
    /// The present call's part of the log.
    call_log: Arc<logging::CallLog>,
    // Made when first asked for: most models never touch WASI after `load`, and making it costs
    // more than a small inference.
    wasi: Option<Box<wasi::Wasi>>,
    // As WASI.
    http: Option<Box<Outgoing>>,
    // As WASI.
    key_value: Option<Box<Opened>>,
    sql: Sql,
}

impl Ctx {
    /// The capabilities of a new instance, whose first call has that scope.
    pub fn new(grants: Grants, scope: Arc<Scope>) -> Self {
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
            sql: Sql::default(),
        }
    }

    /// Opens what is only open while `load` runs and closes what is closed then, or the other way
    /// round.
    pub fn set_loading(&mut self, loading: bool) {
        self.loading = loading;
    }

    /// Starts another call: it has a scope of its own and may log anew.
    pub fn begin_call(&mut self, scope: Arc<Scope>) {
        self.call_log.begin(scope.request_id.clone());
        self.live = self.grants.config.live();
        self.scope = scope;
        if let Some(opened) = &mut self.key_value {
            opened.begin_call();
        }
    }

    /// Lets go of what the call that has ended had to do with.
    pub fn end_call(&mut self) {
        self.scope = Arc::default();
    }

    /// The last of what the guest wrote to its standard error: a panic's text, as a rule.
    pub fn last_words(&self) -> String {
        self.wasi.as_ref().map(|wasi| wasi.last_words()).unwrap_or_default()
    }
}

/// Gives access to the [`Ctx`] inside a store's data.
pub trait CtxView: Send + 'static {
    /// The instance's capabilities.
    fn ctx_mut(&mut self) -> &mut Ctx;
}

/// Tells the generated code that our views borrow a [`Ctx`].
struct HasCtx;

impl HasData for HasCtx {
    type Data<'a> = &'a mut Ctx;
}

/// Links everything that a model can be granted.
pub fn add_to_linker<T: CtxView + wasmtime_wasi::WasiView>(
    linker: &mut Linker<T>,
) -> wasmtime::Result<()> {
    bindings::wardian::model::artifacts::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    bindings::wasi::logging::logging::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    bindings::wasi::config::store::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())?;
    values::add_to_linker(linker)?;
    emitter::add_to_linker(linker)?;
    session::add_to_linker(linker)?;
    tasks::add_to_linker(linker)?;
    http::add_to_linker(linker)?;
    key_value::add_to_linker(linker)?;
    sql::add_to_linker(linker)?;
    wasi::add_to_linker(linker)
}

/// The imports any component may have, without their versions.
///
/// Of WASI only what a program's standard library needs to start: no sockets, and a filesystem
/// without a single directory in it.
const GRANTED: [&str; 28] = [
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

/// The imports that take a grant, and which.
const ON_REQUEST: [(&str, Capability); 6] = [
    ("wardian:model/sql", Capability::Sql),
    ("wasi:http/outgoing-handler", Capability::Http),
    ("wasi:http/types", Capability::Http),
    ("wasi:keyvalue/atomics", Capability::KeyValue),
    ("wasi:keyvalue/batch", Capability::KeyValue),
    ("wasi:keyvalue/store", Capability::KeyValue),
];

/// What a component must be granted to import the interface of that name, such as
/// `wasi:io/streams@0.2.6`: `None` where nothing would help.
pub fn needs(import: &str) -> Option<Capability> {
    let interface = without_version(import);
    ON_REQUEST.iter().find(|(name, _)| *name == interface).map(|&(_, capability)| capability)
}

fn without_version(import: &str) -> &str {
    import.split_once('@').map_or(import, |(interface, _version)| interface)
}

/// Why a component may not import the interface of that name, and what would mend it; `None` if it
/// may.
pub fn refusal(import: &str, granted: &[Capability]) -> Option<&'static str> {
    if GRANTED.contains(&without_version(import)) {
        return None;
    }
    match needs(import) {
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
    use super::{Capability, ON_REQUEST, refusal};

    #[test]
    fn what_reaches_outside_is_not_granted() {
        for import in ["wasi:io/streams@0.2.6", "wasi:random/random@0.2.0"] {
            assert_eq!(refusal(import, &[]), None, "{import}");
        }
        for import in [
            "wasi:http/incoming-handler@0.2.0",
            "wasi:sockets/tcp@0.2.0",
            "wasi:sql/query",
            "x",
            "",
        ] {
            assert_eq!(
                refusal(import, &[Capability::Http]),
                Some("which is not granted"),
                "{import}"
            );
        }
    }

    #[test]
    fn some_take_a_grant() {
        for (import, capability) in ON_REQUEST {
            let import = format!("{import}@0.2.0");
            assert_eq!(refusal(&import, &[capability]), None, "{import}");
            let says = format!("[capabilities] {} = ", capability.name());
            assert!(refusal(&import, &[]).unwrap().contains(&says), "{import}");
        }
    }
}

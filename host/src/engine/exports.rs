//! What a component offers beyond answering requests, and what it asks for that concerns the host
//! before a call; found once when its code is mapped.

use wasmtime::component::{Component, InstancePre};

use super::bindings::{
    INFERENCE, INTERCEPTOR, batching, deferred, inference, interceptor, lifecycle, migrations,
    session_migration, streaming,
};
use super::state::State;

/// The imports that the host prepares a call for.
pub(super) struct Imports {
    pub(super) session: bool,
    pub(super) tasks: bool,
}

impl Imports {
    /// Finds them.
    pub(super) fn find(component: &Component) -> Self {
        let ty = component.component_type();
        let imports =
            |interface: &str| ty.imports(component.engine()).any(|(name, _)| name == interface);
        Imports {
            session: imports("wardian:model/session@0.1.0"),
            tasks: imports("wardian:model/tasks@0.1.0"),
        }
    }
}

/// Where the exported interfaces are; `None` for those that are not.
pub(super) struct Exports {
    pub(super) inference: Option<inference::GuestIndices>,
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    pub(super) streaming: Option<streaming::GuestIndices>,
    pub(super) batching: Option<batching::GuestIndices>,
    pub(super) deferred: Option<deferred::GuestIndices>,
    pub(super) session_migration: Option<session_migration::GuestIndices>,
    pub(super) migrations: Option<migrations::GuestIndices>,
    pub(super) interceptor: Option<interceptor::GuestIndices>,
    /// It reads or writes what the interceptors of a request share, and so has to do with one
    /// request at a time.
    pub(super) uses_call_values: bool,
}

impl Exports {
    /// Finds them. Fails if an interface has another shape than its name promises.
    pub(super) fn find(component: &Component, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        macro_rules! find {
            ($module:ident, $name:expr) => {
                match component.get_export_index(None, $name) {
                    Some(_) => Some($module::GuestIndices::new(pre)?),
                    None => None,
                }
            };
        }
        Ok(Exports {
            inference: find!(inference, INFERENCE),
            lifecycle: find!(lifecycle, "wardian:model/lifecycle@0.1.0"),
            streaming: find!(streaming, "wardian:model/streaming@0.1.0"),
            batching: find!(batching, "wardian:model/batching@0.1.0"),
            deferred: find!(deferred, "wardian:model/deferred@0.1.0"),
            session_migration: find!(session_migration, "wardian:model/session-migration@0.1.0"),
            migrations: find!(migrations, "wardian:model/migrations@0.1.0"),
            interceptor: find!(interceptor, INTERCEPTOR),
            uses_call_values: imports(component, "wardian:model/call-values@"),
        })
    }
}

fn imports(component: &Component, name: &str) -> bool {
    component
        .component_type()
        .imports(component.engine())
        .any(|(import, _)| import.starts_with(name))
}

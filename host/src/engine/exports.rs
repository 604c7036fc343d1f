//! The interfaces that a component exports and imports, looked up once when its code is mapped.

use wasmtime::component::{Component, InstancePre};

use super::bindings::{
    INFERENCE, INTERCEPTOR, batching, deferred, inference, interceptor, lifecycle, migrations,
    session_migration, streaming,
};
use super::store_state::State;

/// The imports for which the host prepares a call.
pub(super) struct Imports {
    pub(super) session: bool,
    pub(super) tasks: bool,
}

impl Imports {
    /// Looks up the imports of a component.
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

/// The indices of the exported interfaces; `None` for those that are not exported.
pub(super) struct Exports {
    pub(super) inference: Option<inference::GuestIndices>,
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    pub(super) streaming: Option<streaming::GuestIndices>,
    pub(super) batching: Option<batching::GuestIndices>,
    pub(super) deferred: Option<deferred::GuestIndices>,
    pub(super) session_migration: Option<session_migration::GuestIndices>,
    pub(super) migrations: Option<migrations::GuestIndices>,
    pub(super) interceptor: Option<interceptor::GuestIndices>,
    /// The component imports the call values that the interceptors of a request share, so that a
    /// call of it concerns one request only.
    pub(super) uses_call_values: bool,
}

impl Exports {
    /// Looks up the exports of a component. Fails if an interface does not have the expected type.
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

//! The interfaces of a component, looked up once when its code is mapped.

use wasmtime::component::{Component, InstancePre};

use super::bindings::{
    INFERENCE, INTERCEPTOR, batching, deferred, inference, interceptor, lifecycle, migrations,
    session_migration, streaming,
};
use super::store_state::State;

/// An interface that changes how the host calls a component.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Interface {
    /// The export `lifecycle`: the component has `warm-up` and `unload`.
    Lifecycle,
    /// The export `streaming`: it can respond in parts.
    Streaming,
    /// The export `batching`: it accepts several requests in one call.
    Batching,
    /// The export `deferred`: it runs deferred tasks.
    Deferred,
    /// The export `session-migration`: it migrates session state of older versions.
    SessionMigration,
    /// The export `migrations`: it has tables in the tenant's database.
    Migrations,
    /// The export `interceptor`: it wraps models.
    Interceptor,
    /// The import `session`: it keeps state between requests.
    Session,
    /// The import `tasks`: it defers tasks.
    Tasks,
    /// The import `call-values`: it shares values with the interceptors of one request, so a call
    /// of it concerns one request only.
    CallValues,
}

/// The interfaces of a component. The exports have the indices with which to call them; `None` if
/// the component does not export the interface.
pub(super) struct Interfaces {
    pub(super) inference: Option<inference::GuestIndices>,
    pub(super) lifecycle: Option<lifecycle::GuestIndices>,
    pub(super) streaming: Option<streaming::GuestIndices>,
    pub(super) batching: Option<batching::GuestIndices>,
    pub(super) deferred: Option<deferred::GuestIndices>,
    pub(super) session_migration: Option<session_migration::GuestIndices>,
    pub(super) migrations: Option<migrations::GuestIndices>,
    pub(super) interceptor: Option<interceptor::GuestIndices>,
    imports_session: bool,
    imports_tasks: bool,
    imports_call_values: bool,
}

impl Interfaces {
    /// Looks up the interfaces of a component. Fails if an exported one does not have the expected
    /// type.
    pub(super) fn find(component: &Component, pre: &InstancePre<State>) -> wasmtime::Result<Self> {
        macro_rules! find {
            ($module:ident, $name:expr) => {
                match component.get_export_index(None, $name) {
                    Some(_) => Some($module::GuestIndices::new(pre)?),
                    None => None,
                }
            };
        }

        let ty = component.component_type();
        let imports =
            |interface: &str| ty.imports(component.engine()).any(|(name, _)| name == interface);

        Ok(Interfaces {
            inference: find!(inference, INFERENCE),
            lifecycle: find!(lifecycle, "wardian:model/lifecycle@0.1.0"),
            streaming: find!(streaming, "wardian:model/streaming@0.1.0"),
            batching: find!(batching, "wardian:model/batching@0.1.0"),
            deferred: find!(deferred, "wardian:model/deferred@0.1.0"),
            session_migration: find!(session_migration, "wardian:model/session-migration@0.1.0"),
            migrations: find!(migrations, "wardian:model/migrations@0.1.0"),
            interceptor: find!(interceptor, INTERCEPTOR),
            imports_session: imports("wardian:model/session@0.1.0"),
            imports_tasks: imports("wardian:model/tasks@0.1.0"),
            imports_call_values: imports("wardian:model/call-values@0.1.0"),
        })
    }

    /// True if the component has that interface.
    pub(super) fn has(&self, interface: Interface) -> bool {
        match interface {
            Interface::Lifecycle => self.lifecycle.is_some(),
            Interface::Streaming => self.streaming.is_some(),
            Interface::Batching => self.batching.is_some(),
            Interface::Deferred => self.deferred.is_some(),
            Interface::SessionMigration => self.session_migration.is_some(),
            Interface::Migrations => self.migrations.is_some(),
            Interface::Interceptor => self.interceptor.is_some(),
            Interface::Session => self.imports_session,
            Interface::Tasks => self.imports_tasks,
            Interface::CallValues => self.imports_call_values,
        }
    }
}

//! The list of all capabilities, and the functions that concern each of them.

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use super::http::Outgoing;
use super::kernels::Kernels;
use super::key_value::KeyValueState;
use super::logging::CallLog;
use super::sql::SqlState;
use super::wasi::Wasi;
use super::{
    CallValues, ConfigValues, Ctx, CtxView, DeferredTasks, Emitter, Grant, HostCapability, Session,
    Sidecars, types,
};
use crate::model::Capability;

/// Defines the functions that concern every capability.
macro_rules! capabilities {
    ($($capability:ty),* $(,)?) => {
        /// Links the interfaces of all capabilities.
        pub fn add_to_linker<T: CtxView + WasiView>(
            linker: &mut Linker<T>,
        ) -> wasmtime::Result<()> {
            $(<$capability>::add_to_linker(linker)?;)*
            Ok(())
        }

        /// The imports of all capabilities, with the grants that they require.
        const IMPORTS: &[(&[&str], Option<Grant>)] =
            &[$((<$capability>::IMPORTS, <$capability>::GRANT)),*];

        impl Ctx {
            /// Prepares every capability for another call.
            pub(super) fn begin_call_of_all(&mut self) {
                $(<$capability as HostCapability>::begin_call(self);)*
            }

            /// True if the guest still holds resources that must end with its call, such as
            /// requests or a transaction. They end with the instance.
            pub fn holds_resources(&self) -> bool {
                false $(|| <$capability as HostCapability>::holds_resources(self))*
            }
        }
    };
}

capabilities![
    Sidecars,
    ConfigValues,
    CallLog,
    CallValues,
    Emitter,
    Session,
    DeferredTasks,
    Outgoing,
    Kernels,
    KeyValueState,
    SqlState,
    Wasi,
];

/// Returns the capability that an import, such as `wasi:keyvalue/store@0.2.0`, requires; `None` if
/// it requires none or if no capability permits it.
pub fn required_capability(import: &str) -> Option<Capability> {
    find(import)?.map(|grant| grant.capability)
}

/// Returns the reason and a remedy if a component may not import an interface; `None` if it may.
pub fn import_refusal(import: &str, granted: &[Capability]) -> Option<&'static str> {
    match find(import) {
        None => Some("which is not granted"),
        Some(Some(grant)) if !granted.contains(&grant.capability) => Some(grant.refusal),
        Some(_) => None,
    }
}

/// Finds an interface among the imports. Returns the grant that it requires, if any; `None` if no
/// capability has it.
fn find(import: &str) -> Option<Option<Grant>> {
    let interface = import.split_once('@').map_or(import, |(interface, _version)| interface);
    if interface == types::IMPORT {
        return Some(None);
    }

    let found = IMPORTS.iter().find(|(interfaces, _)| interfaces.contains(&interface));
    found.map(|(_, grant)| *grant)
}

#[cfg(test)]
mod tests {
    use super::*;

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
        let granted = IMPORTS.iter().filter_map(|(imports, grant)| Some((imports, (*grant)?)));
        let mut count = 0;

        for (import, grant) in
            granted.flat_map(|(imports, grant)| imports.iter().map(move |import| (import, grant)))
        {
            let import = format!("{import}@0.2.0");
            assert_eq!(import_refusal(&import, &[grant.capability]), None, "{import}");
            let says = format!("[capabilities] {} = ", grant.capability.name());
            assert!(import_refusal(&import, &[]).unwrap().contains(&says), "{import}");
            count += 1;
        }

        assert_eq!(count, 6);
    }
}

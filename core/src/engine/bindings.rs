//! Generated bindings of the interfaces that a component may export.

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world guest {
                export wardian:model/inference@0.1.0;
                export wardian:model/lifecycle@0.1.0;
                export wardian:model/streaming@0.1.0;
                export wardian:model/batching@0.1.0;
                export wardian:model/deferred@0.1.0;
                export wardian:model/session-migration@0.1.0;
                export wardian:model/migrations@0.1.0;
                export wardian:model/interceptor@0.1.0;
            }
        ",
        world: "wardian:host/guest",
        exports: { default: async },
        with: { "wardian:model/types@0.1.0": crate::capability::types },
    });
}

pub(super) use generated::exports::wardian::model::{
    batching, deferred, inference, interceptor, lifecycle, migrations, session_migration, streaming,
};

/// The interface that every interceptor exports.
pub(super) const INTERCEPTOR: &str = "wardian:model/interceptor@0.1.0";

/// The interface that every model exports.
pub(super) const INFERENCE: &str = "wardian:model/inference@0.1.0";

/// The export that is added to split code. It sets the global variables to their first values,
/// takes an `s32` and returns it.
pub(super) const RESET: &str = "wardian-reset";

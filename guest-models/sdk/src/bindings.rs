//! Bindings generated from `wit/`; the rest of the crate implements methods on these types.
#![allow(missing_docs, unsafe_code, unreachable_pub, clippy::all)]

pub use model::wardian::model::types;

pub mod model {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "model",
        generate_all,
        pub_export_macro: true,
        export_macro_name: "export_model",
        default_bindings_module: "::wardian_sdk::bindings::model",
    });
}

// Separate from `model` and from each other, so that a model exports only what it names.

pub mod lifecycle {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-lifecycle",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_lifecycle",
        default_bindings_module: "::wardian_sdk::bindings::lifecycle",
    });
}

pub mod streaming {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-streaming",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_streaming",
        default_bindings_module: "::wardian_sdk::bindings::streaming",
    });
}

pub mod batching {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-batching",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_batching",
        default_bindings_module: "::wardian_sdk::bindings::batching",
    });
}

pub mod deferred {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-deferred",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_deferred",
        default_bindings_module: "::wardian_sdk::bindings::deferred",
    });
}

pub mod session_migration {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-session-migration",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_session_migration",
        default_bindings_module: "::wardian_sdk::bindings::session_migration",
    });
}

pub mod migrations {
    wit_bindgen::generate!({
        path: "../../wit",
        world: "with-migrations",
        pub_export_macro: true,
        export_macro_name: "export_migrations",
        default_bindings_module: "::wardian_sdk::bindings::migrations",
    });
}

/// The exports of interceptors; they use the imports of `model`.
pub mod interceptor {
    wit_bindgen::generate!({
        path: "../../wit",
        inline: "
            package wardian:sdk;
            world interceptor {
                export wardian:model/interceptor@0.1.0;
            }
        ",
        world: "wardian:sdk/interceptor",
        with: { "wardian:model/types@0.1.0": crate::bindings::types },
        pub_export_macro: true,
        export_macro_name: "export_interceptor",
        default_bindings_module: "::wardian_sdk::bindings::interceptor",
    });
}

//! Generated from `wit/`; the rest of the crate gives these types their methods.
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

/// Apart from `model`, so that a model which does not ask for its lifecycle does not export it.
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

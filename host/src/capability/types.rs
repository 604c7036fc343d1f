//! The vocabulary as the interfaces spell it: one set of generated types for what models export and
//! what they import.

mod generated {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world vocabulary {
                import wardian:model/types@0.1.0;
            }
        ",
        world: "wardian:host/vocabulary",
    });
}

pub use generated::wardian::model::types::*;

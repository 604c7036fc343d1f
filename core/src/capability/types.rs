//! The types of the WIT interfaces, generated once for exports and imports alike.

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

/// The import of the types alone, which every component may have.
pub(super) const IMPORT: &str = "wardian:model/types";

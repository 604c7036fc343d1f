//! Values that the operator sets for a model.

use crate::Error;

/// The value set for `key`, if there is one. Natively there is none.
///
/// What `load` reads here is part of the snapshot; what may change belongs in `infer`.
///
/// # Errors
/// Failed if the host could not tell.
pub fn get(key: &str) -> Result<Option<String>, Error> {
    imp::get(key).map_err(|reason| {
        Error::failed(format_args!("cannot read configuration {key:?}: {reason}"))
    })
}

#[cfg(target_family = "wasm")]
mod imp {
    use crate::bindings::model::wasi::config::store;

    pub(super) fn get(key: &str) -> Result<Option<String>, String> {
        store::get(key).map_err(|error| match error {
            store::Error::Upstream(text) | store::Error::Io(text) => text,
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    pub(super) fn get(_key: &str) -> Result<Option<String>, String> {
        Ok(None)
    }
}

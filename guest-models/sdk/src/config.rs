//! Values that the operator sets for a model.

use crate::Error;

/// Returns the value of `key`, if it is set. Natively no key is set.
///
/// A value read in `load` becomes part of the snapshot; read changeable values in `infer`.
///
/// # Errors
/// Failed if the host could not read the configuration.
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

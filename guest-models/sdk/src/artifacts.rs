//! Sidecar files: the files beside `model.wasm` in its version's directory.

use crate::Error;

/// Returns the whole content of a sidecar file, by its plain name. Only
/// [`Model::load`](crate::Model::load) may call it. Natively it reads the folder of the crate under
/// test.
///
/// # Errors Failed if there is no such file (the text lists the existing ones), or after `load`.
pub fn read(name: &str) -> Result<Vec<u8>, Error> {
    imp::read(name).map_err(|reason| {
        Error::failed(format_args!("cannot read sidecar file {name:?}: {reason}"))
    })
}

#[cfg(target_family = "wasm")]
mod imp {
    use crate::bindings::model::wardian::model::artifacts::{ReadError, read as read_artifact};

    pub(super) fn read(name: &str) -> Result<Vec<u8>, String> {
        read_artifact(name).map_err(|error| match error {
            ReadError::NotFound(text) => text,
            ReadError::NotLoading => "files are read while load() runs, and only then".to_owned(),
        })
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::path::PathBuf;

    pub(super) fn read(name: &str) -> Result<Vec<u8>, String> {
        // Cargo sets this variable for tests; otherwise the working folder is the same one.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        std::fs::read(folder.join(name)).map_err(|error| error.to_string())
    }
}

//! Sidecar files: the files beside `model.wasm`, or beside the model file, in the version's
//! directory.

use crate::{Error, OrError};

/// Returns the whole content of a sidecar file, by its plain name. Only
/// [`Model::load`](crate::Model::load) may call it. Natively it reads the folder of the crate under
/// test.
///
/// # Errors
/// Failed if there is no such file (the text lists the existing ones), or after `load`.
pub fn read(name: &str) -> Result<Vec<u8>, Error> {
    let missing = |reason| match reason {
        Unread::NotFound(text) | Unread::Other(text) => cannot_read(name, &text),
    };
    imp::read(name).map_err(missing)
}

/// Returns the whole content of a sidecar file; `None` if there is none of that name. Only
/// [`Model::load`](crate::Model::load) may call it.
///
/// # Errors
/// Failed after `load`.
pub fn find(name: &str) -> Result<Option<Vec<u8>>, Error> {
    match imp::read(name) {
        Ok(content) => Ok(Some(content)),
        Err(Unread::NotFound(_)) => Ok(None),
        Err(Unread::Other(text)) => Err(cannot_read(name, &text)),
    }
}

/// Returns the name of the model file, for a runtime: a component that serves files of a format.
///
/// # Errors
/// Failed if the component was started as a model itself, and in native tests.
pub fn model_file() -> Result<String, Error> {
    imp::model_file().or_failed("there is no model file: this component is a runtime, not a model")
}

/// The reason why a file was not read.
enum Unread {
    NotFound(String),
    Other(String),
}

fn cannot_read(name: &str, reason: &str) -> Error {
    Error::failed(format_args!("cannot read sidecar file {name:?}: {reason}"))
}

#[cfg(target_family = "wasm")]
mod imp {
    use super::Unread;
    use crate::bindings::model::wardian::model::artifacts::{
        ReadError, model_file as name_of_model_file, read as read_artifact,
    };

    pub(super) fn read(name: &str) -> Result<Vec<u8>, Unread> {
        read_artifact(name).map_err(|error| match error {
            ReadError::NotFound(text) => Unread::NotFound(text),
            ReadError::NotLoading => {
                Unread::Other("files are read while load() runs, and only then".to_owned())
            }
        })
    }

    pub(super) fn model_file() -> Option<String> {
        name_of_model_file()
    }
}

#[cfg(not(target_family = "wasm"))]
mod imp {
    use std::io::ErrorKind;
    use std::path::PathBuf;

    use super::Unread;

    pub(super) fn read(name: &str) -> Result<Vec<u8>, Unread> {
        // Cargo sets this variable for tests; otherwise the working folder is the same one.
        let folder = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from).unwrap_or_default();
        std::fs::read(folder.join(name)).map_err(|error| match error.kind() {
            ErrorKind::NotFound => Unread::NotFound(error.to_string()),
            _ => Unread::Other(error.to_string()),
        })
    }

    pub(super) fn model_file() -> Option<String> {
        None
    }
}

//! `wardian:model/artifacts`: the sidecar files beside `model.wasm`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use super::Ctx;
use super::bindings::wardian::model::artifacts::{Host, ReadError};
use crate::tenant::{Resource, Tenant};

/// The sidecar files that `load` may read. A clone is shallow.
#[derive(Clone, Default)]
pub struct Sidecars {
    files: Arc<BTreeMap<String, Sidecar>>,
    /// Charged for a file while it is being read; `None` in a compile process.
    tenant: Option<Arc<Tenant>>,
}

/// One sidecar file.
pub enum Sidecar {
    /// Its content.
    Content(Bytes),
    /// An unchanging file, and its size in bytes.
    File(PathBuf, u64),
}

impl Sidecars {
    /// These files, by name. A file that is read counts against the tenant's memory quota while the
    /// host holds it.
    pub fn new(files: BTreeMap<String, Sidecar>, tenant: Option<Arc<Tenant>>) -> Self {
        Sidecars { files: Arc::new(files), tenant }
    }

    fn read(&self, name: &str) -> Result<Vec<u8>, String> {
        let known = || self.files.keys().map(String::as_str).collect::<Vec<_>>().join(", ");

        match self.files.get(name) {
            Some(Sidecar::Content(content)) => Ok(content.to_vec()),
            Some(Sidecar::File(path, size)) => {
                let held = self.tenant.as_ref().map(|tenant| tenant.take(Resource::Memory, *size));
                let _held = held.transpose().map_err(|refusal| format!("'{name}': {refusal}"))?;
                std::fs::read(path).map_err(|error| read_error(name, &error))
            }
            None => Err(format!("no sidecar file '{name}'; there are: {}", known())),
        }
    }
}

/// The error of an unreadable file, without its path.
fn read_error(name: &str, error: &io::Error) -> String {
    format!("the sidecar file '{name}' cannot be read: {}", error.kind())
}

impl Host for Ctx {
    fn read(&mut self, name: String) -> Result<Vec<u8>, ReadError> {
        if !self.loading {
            return Err(ReadError::NotLoading);
        }
        self.grants.sidecars.read(&name).map_err(ReadError::NotFound)
    }
}

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
    /// Whose memory holds what is being read.
    tenant: Option<Arc<Tenant>>,
}

/// One sidecar file.
pub enum Sidecar {
    /// Its content.
    Content(Bytes),
    /// A file that nobody changes, and its size in bytes.
    File(PathBuf, u64),
}

impl Sidecars {
    /// These files, by name. What is read counts against the tenant's memory for as long as the
    /// host has it.
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
                std::fs::read(path).map_err(|error| unread(name, &error))
            }
            None => Err(format!("no sidecar file '{name}'; there are: {}", known())),
        }
    }
}

/// Where the file is, is nobody's business.
fn unread(name: &str, error: &io::Error) -> String {
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

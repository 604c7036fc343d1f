//! `wardian:model/artifacts`: the sidecar files beside `model.wasm`.

use std::collections::BTreeMap;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use bytes::Bytes;

use wasmtime::component::Linker;
use wasmtime_wasi::WasiView;

use self::bindings::wardian::model::artifacts::{self, Host, ReadError};
use super::{Ctx, CtxView, HasCtx, HostCapability};
use crate::tenant::{Resource, Tenant};

mod bindings {
    #![allow(missing_docs, unreachable_pub, clippy::all)]
    wasmtime::component::bindgen!({
        path: "../wit",
        inline: "
            package wardian:host;
            world sidecars {
                import wardian:model/artifacts@0.1.0;
            }
        ",
        world: "wardian:host/sidecars",
    });
}

/// The sidecar files that `load` may read. A clone is shallow.
#[derive(Clone, Default)]
pub struct Sidecars {
    files: Arc<BTreeMap<String, Sidecar>>,
    /// The name of the model file that a runtime serves.
    model_file: Option<Arc<str>>,
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
        Sidecars { files: Arc::new(files), model_file: None, tenant }
    }

    /// The same files, one of which is the model file.
    pub fn with_model_file(self, name: Option<&str>) -> Self {
        Sidecars { model_file: name.map(Arc::from), ..self }
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

impl HostCapability for Sidecars {
    const IMPORTS: &'static [&'static str] = &["wardian:model/artifacts"];

    fn add_to_linker<T: CtxView + WasiView>(linker: &mut Linker<T>) -> wasmtime::Result<()> {
        artifacts::add_to_linker::<T, HasCtx>(linker, |data| data.ctx_mut())
    }
}

impl Host for Ctx {
    fn model_file(&mut self) -> Option<String> {
        self.grants.sidecars.model_file.as_deref().map(str::to_owned)
    }

    fn read(&mut self, name: String) -> Result<Vec<u8>, ReadError> {
        if !self.loading {
            return Err(ReadError::NotLoading);
        }
        self.grants.sidecars.read(&name).map_err(ReadError::NotFound)
    }
}

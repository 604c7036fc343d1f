//! `wardian:model/artifacts`: the sidecar files beside `model.wasm`.

use super::Ctx;
use super::bindings::wardian::model::artifacts::{Host, ReadError};

impl Host for Ctx {
    fn read(&mut self, name: String) -> Result<Vec<u8>, ReadError> {
        if !self.loading {
            return Err(ReadError::NotLoading);
        }
        let sidecars = &self.grants.sidecars;
        sidecars.get(&name).cloned().ok_or_else(|| {
            let known: Vec<_> = sidecars.keys().map(String::as_str).collect();
            ReadError::NotFound(format!("no sidecar file '{name}'; there are: {}", known.join(", ")))
        })
    }
}

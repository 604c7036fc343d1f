//! A model file, and the runtime that serves it, read without loading it.

use std::path::Path;

use anyhow::{Result, bail};
use serde_json::{Value, json};

use crate::cli::describe::format_bytes;
use crate::repository::{ModelFile, RuntimeCatalog, find_model_file, split_extension};

/// A model file as far as its name and its first bytes tell.
pub(super) struct ModelFileSummary {
    bytes: u64,
    found: ModelFile,
}

impl ModelFileSummary {
    /// Reads a file; `None` if its name is not that of a model file. Fails if it cannot be served.
    pub(super) fn read(path: &Path, runtimes: &RuntimeCatalog) -> Result<Option<Self>> {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let Some((_, extension)) = split_extension(&name, runtimes) else { return Ok(None) };
        let bytes = std::fs::metadata(path)?.len();

        match find_model_file(path, &extension, runtimes)? {
            Ok(found) => Ok(Some(ModelFileSummary { bytes, found })),
            Err(reason) => bail!(reason),
        }
    }

    pub(super) fn lines(&self) -> Vec<String> {
        let runtime = &self.found.runtime;
        let origin =
            if runtime.is_embedded() { "a part of this program" } else { "the operator's" };
        vec![
            format!("size        {}", format_bytes(self.bytes)),
            format!("format      {}", self.found.format),
            format!(
                "runtime     {}, {origin}, {}",
                runtime.name(),
                format_bytes(runtime.component().len() as u64)
            ),
            format!("  digest    {}", runtime.digest()),
        ]
    }

    pub(super) fn to_json(&self) -> Value {
        let runtime = &self.found.runtime;
        json!({
            "bytes": self.bytes,
            "format": self.found.format,
            "runtime": {
                "name": runtime.name(),
                "digest": runtime.digest().to_string(),
                "embedded": runtime.is_embedded(),
                "bytes": runtime.component().len(),
            },
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_model_file_names_its_format_and_runtime() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("rent.json");
        let summary = || ModelFileSummary::read(&path, RuntimeCatalog::embedded());

        std::fs::write(&path, "{\"learner\": {}}").unwrap();
        let json = summary().unwrap().unwrap().to_json();
        assert_eq!((&json["format"], &json["bytes"]), (&json!("xgboost-json"), &json!(15)));
        assert_eq!(json["runtime"]["name"], "tabular");

        std::fs::write(&path, b"\x80\x04\x95\x14\0\0\0").unwrap();
        let refused = summary().map(drop).unwrap_err().to_string();
        assert!(refused.contains("a pickle runs code when it is opened"), "{refused}");
        assert!(
            ModelFileSummary::read(&folder.path().join("a.wasm"), RuntimeCatalog::embedded())
                .is_ok_and(|read| read.is_none())
        );
    }
}

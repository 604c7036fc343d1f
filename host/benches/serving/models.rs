//! `house-price` as it is built, its golden requests, and repositories made of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::Value;

/// The component that `cargo xtask guests` has built.
pub(crate) fn component() -> Result<Vec<u8>> {
    fs::read(folder().join("model.wasm")).context("house-price is not built; run `cargo xtask guests` first")
}

/// The component of a guest made for tests.
pub(crate) fn test_guest(name: &str) -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/test-guests").join(format!("{name}.wasm"));
    fs::read(path).with_context(|| format!("{name} is not built; run `cargo xtask guests` first"))
}

/// The component of an interceptor that finds nothing to change in a request of numbers.
pub(crate) fn interceptor() -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interceptors/redact.wasm");
    fs::read(path).context("redact is not built; run `cargo xtask guests` first")
}

/// The component with a custom section behind it: the same code under another digest.
pub(crate) fn relabelled(component: &[u8], label: u64) -> Vec<u8> {
    let mut bytes = component.to_vec();
    // Section 0, eleven bytes: a name of two, then the data.
    bytes.extend([0, 11, 2]);
    bytes.extend(b"id");
    bytes.extend(label.to_le_bytes());
    bytes
}

/// Puts a version of a model into a repository, with its golden requests and these settings.
pub(crate) fn install(repository: &Path, name: &str, component: &[u8], settings: &str) -> Result<()> {
    let version = repository.join(name).join("1");
    fs::create_dir_all(&version)?;
    fs::write(repository.join(name).join("model.toml"), settings)?;
    fs::copy(folder().join("golden.json"), version.join("golden.json")).context("house-price has no golden.json")?;
    Ok(fs::write(version.join("model.wasm"), component)?)
}

/// A request and its answer.
pub(crate) struct Case {
    /// The request's JSON.
    pub(crate) request: Vec<u8>,
    /// The price that must come out.
    pub(crate) price: f64,
}

impl Case {
    /// Whether that body is the right answer.
    pub(crate) fn is_answered_by(&self, body: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        price(&answer) == Some(self.price)
    }
}

/// The golden requests that are about one house.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let text = fs::read(folder().join("golden.json")).context("run `cargo xtask guests` first")?;
    let golden: Value = serde_json::from_slice(&text)?;
    let cases = golden["cases"].as_array().context("golden.json has no cases")?;
    let single = cases.iter().filter(|case| case["request"]["inputs"][0]["shape"][0] == 1);
    single.map(|case| case_of(case).context("a golden case is odd")).collect()
}

fn case_of(case: &Value) -> Option<Case> {
    Some(Case { request: serde_json::to_vec(&case["request"]).ok()?, price: price(&case["response"])? })
}

fn price(answer: &Value) -> Option<f64> {
    answer["outputs"][0]["data"][0].as_f64()
}

fn folder() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/models/house-price/1")
}

//! The built `house-price` with its golden requests, and repositories made of it.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};
use wasmparser::{Parser, Payload};

/// The component as `cargo xtask guests` built it.
pub(crate) fn component() -> Result<Vec<u8>> {
    fs::read(folder().join("model.wasm"))
        .context("house-price is not built; run `cargo xtask guests` first")
}

/// The component of a test guest.
pub(crate) fn test_guest(name: &str) -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../target/test-guests")
        .join(format!("{name}.wasm"));
    fs::read(path).with_context(|| format!("{name} is not built; run `cargo xtask guests` first"))
}

/// The component of an interceptor that finds nothing to change in a request of numbers.
pub(crate) fn interceptor() -> Result<Vec<u8>> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/interceptors/redact.wasm");
    fs::read(path).context("redact is not built; run `cargo xtask guests` first")
}

/// The component with a custom section at its end: the same code with another digest.
pub(crate) fn relabelled(component: &[u8], label: u64) -> Vec<u8> {
    let mut bytes = component.to_vec();
    // Section 0, eleven bytes: a name of two, then the data.
    bytes.extend([0, 11, 2]);
    bytes.extend(b"id");
    bytes.extend(label.to_le_bytes());
    bytes
}

/// The test guest with that script, see `tests/guests/README.md`.
pub(crate) fn scripted(script: &str) -> Result<Vec<u8>> {
    const MARKER: &[u8] = b"@@SCRIPT-START@@";
    const LENGTH: usize = 240;
    let mut component = test_guest("scripted")?;
    let found = component.windows(MARKER.len()).position(|window| window == MARKER);
    let start = found.context("the scripted has no place for a script")? + MARKER.len();
    let place =
        component.get_mut(start..start + LENGTH).context("the scripted ends within its script")?;
    ensure!(script.len() <= LENGTH, "the script is longer than {LENGTH} bytes");
    place.fill(b' ');
    place[..script.len()].copy_from_slice(script.as_bytes());
    Ok(component)
}

/// The component with `count` more core instances, at most 127, of an empty module.
pub(crate) fn with_core_instances(component: &[u8], count: u8) -> Result<Vec<u8>> {
    ensure!(count < 0x80, "too many core instances for one byte");
    let module = u8::try_from(core_modules(component)?).ok().filter(|&index| index < 0x80);
    let module = module.context("the component has too many core modules")?;
    let mut bytes = component.to_vec();
    // Section 1, a core module: the header of one, and nothing else.
    bytes.extend([1, 8]);
    bytes.extend(b"\0asm\x01\0\0\0");
    // Section 2, core instances: each instantiates that module with no arguments.
    bytes.extend([2, 3 * count + 1, count]);
    (0..count).for_each(|_| bytes.extend([0, module, 0]));
    Ok(bytes)
}

/// The number of core modules that a component defines, without those of nested components.
fn core_modules(component: &[u8]) -> Result<usize> {
    let mut depth = 0_usize;
    let mut modules = 0;
    for payload in Parser::new(0).parse_all(component) {
        match payload? {
            Payload::ModuleSection { .. } => {
                modules += usize::from(depth == 0);
                depth += 1;
            }
            Payload::ComponentSection { .. } => depth += 1,
            Payload::End(_) => depth = depth.saturating_sub(1),
            _ => {}
        }
    }

    Ok(modules)
}

/// Writes version 1 of a model into a repository, without golden requests.
pub(crate) fn install_bare(
    repository: &Path,
    name: &str,
    component: &[u8],
    settings: &str,
) -> Result<()> {
    let version = repository.join(name).join("1");
    fs::create_dir_all(&version)?;
    fs::write(repository.join(name).join("model.toml"), settings)?;
    Ok(fs::write(version.join("model.wasm"), component)?)
}

/// Writes version 1 of `house-price` into a repository, with its golden requests.
pub(crate) fn install(
    repository: &Path,
    name: &str,
    component: &[u8],
    settings: &str,
) -> Result<()> {
    let version = repository.join(name).join("1");
    fs::create_dir_all(&version)?;
    fs::write(repository.join(name).join("model.toml"), settings)?;
    fs::copy(folder().join("golden.json"), version.join("golden.json"))
        .context("house-price has no golden.json")?;
    Ok(fs::write(version.join("model.wasm"), component)?)
}

/// Writes version 1 of an example model into a repository under another name.
pub(crate) fn install_example(
    repository: &Path,
    example: &str,
    name: &str,
    settings: &str,
) -> Result<()> {
    let version = repository.join(name).join("1");
    fs::create_dir_all(&version)?;
    fs::write(repository.join(name).join("model.toml"), settings)?;
    let files =
        fs::read_dir(folder_of(example)).with_context(|| format!("{example} is not built"))?;
    for file in files {
        let file = file?;
        fs::copy(file.path(), version.join(file.file_name()))?;
    }
    Ok(())
}

/// A request and the expected response.
pub(crate) struct Case {
    /// The request's JSON.
    pub(crate) request: Vec<u8>,
    /// The first element of the first output.
    pub(crate) answer: Value,
}

impl Case {
    /// True if `body` is the expected response.
    pub(crate) fn is_answered_by(&self, body: &[u8]) -> bool {
        let answer: Value = serde_json::from_slice(body).unwrap_or_default();
        first(&answer).is_some_and(|first| same(first, &self.answer))
    }
}

/// The golden requests for one house.
pub(crate) fn cases() -> Result<Vec<Case>> {
    let text = fs::read(folder().join("golden.json")).context("run `cargo xtask guests` first")?;
    let golden: Value = serde_json::from_slice(&text)?;
    let cases = golden["cases"].as_array().context("golden.json has no cases")?;
    let single = cases.iter().filter(|case| case["request"]["inputs"][0]["shape"][0] == 1);
    single.map(|case| case_of(case).context("a golden case is odd")).collect()
}

fn case_of(case: &Value) -> Option<Case> {
    Some(Case {
        request: serde_json::to_vec(&case["request"]).ok()?,
        answer: first(&case["response"])?.clone(),
    })
}

/// The golden requests of an example, split into requests of one row.
pub(crate) fn rows_of(example: &str) -> Result<Vec<Case>> {
    let text = fs::read(folder_of(example).join("golden.json"))
        .context("run `cargo xtask guests` first")?;
    let golden: Value = serde_json::from_slice(&text)?;
    let cases = golden["cases"].as_array().context("golden.json has no cases")?;
    cases
        .iter()
        .map(|case| rows_of_case(case).context("a golden case is odd"))
        .collect::<Result<Vec<_>>>()
        .map(|cases| cases.into_iter().flatten().collect())
}

fn rows_of_case(case: &Value) -> Option<Vec<Case>> {
    let input = &case["request"]["inputs"][0];
    let shape = input["shape"].as_array()?;
    let data = input["data"].as_array()?;
    let output = &case["response"]["outputs"][0];
    let answers = output["data"].as_array()?;
    let inner = shape.get(1..)?;
    let width = inner.iter().filter_map(Value::as_u64).product::<u64>() as usize;
    let row = |(data, answer): (&[Value], &Value)| {
        let shape: Vec<_> = std::iter::once(&Value::from(1)).chain(inner).cloned().collect();
        let input = json!({ "name": input["name"], "datatype": input["datatype"], "shape": shape, "data": data });
        // A sum may differ in its last digits when more rows are computed at once; the label does
        // not.
        let outputs = [json!({ "name": output["name"] })];
        let request = serde_json::to_vec(&json!({ "inputs": [input], "outputs": outputs })).ok()?;
        Some(Case { request, answer: answer.clone() })
    };

    data.chunks(width.max(1)).zip(answers).map(row).collect()
}

fn first(answer: &Value) -> Option<&Value> {
    answer["outputs"][0]["data"].get(0)
}

fn same(one: &Value, other: &Value) -> bool {
    one == other || one.as_f64().is_some_and(|one| other.as_f64() == Some(one))
}

fn folder() -> PathBuf {
    folder_of("house-price")
}

fn folder_of(example: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../target/models").join(example).join("1")
}

//! The node tests of the package `onnx`, which the runtime `onnx` is tested with.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files::write_if_changed;
use crate::workspace::{root, run, target};

/// The environment variable that names the folder of the node tests to the tests.
pub(crate) const VARIABLE: &str = "WARDIAN_ONNX_NODE_TESTS";

/// The script that writes the node tests, and the versions of packages.
const SOURCES: [&str; 2] = [
    "guest-models/runtimes/conformance/onnx_node_tests.py",
    "guest-models/runtimes/conformance/requirements.txt",
];

/// Writes the node tests, if their script or a package has changed. Returns their folder.
pub(crate) fn write(python: &Path) -> Result<PathBuf> {
    let folder = target().join("onnx-node-tests");
    let written_with = target().join("onnx-node-tests-sources.txt");
    let mut sources = Vec::new();
    for source in SOURCES {
        let path = root().join(source);
        sources.extend(fs::read(&path).with_context(|| format!("cannot read {source}"))?);
    }

    if !fs::read(&written_with).is_ok_and(|present| present == sources) || !folder.exists() {
        fs::remove_dir_all(&folder).ok();
        run(Command::new(python).arg(root().join(SOURCES[0])).arg(&folder))?;
        write_if_changed(&written_with, &sources)?;
    }
    Ok(folder)
}

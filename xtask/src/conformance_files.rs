//! Files that scripts in Python write for the tests of the runtimes: node tests of the package
//! `onnx`, and networks for texts.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files::write_if_changed;
use crate::workspace::{root, run, target};

/// A folder that a script writes.
pub(crate) struct ConformanceFiles {
    /// The environment variable that names the folder to the tests.
    pub(crate) variable: &'static str,
    /// The name of the folder in `target`.
    folder: &'static str,
    /// The script, what it imports, and the versions of packages.
    sources: &'static [&'static str],
}

/// Every folder.
pub(crate) const ALL: [&ConformanceFiles; 2] = [&NODE_TESTS, &TEXT_MODELS];

const NODE_TESTS: ConformanceFiles = ConformanceFiles {
    variable: "WARDIAN_ONNX_NODE_TESTS",
    folder: "onnx-node-tests",
    sources: &[
        "guest-models/runtimes/conformance/onnx_node_tests.py",
        "guest-models/runtimes/conformance/requirements.txt",
    ],
};

/// Networks for texts, which the benchmark of networks needs too.
pub(crate) const TEXT_MODELS: ConformanceFiles = ConformanceFiles {
    variable: "WARDIAN_TEXT_MODELS",
    folder: "text-models",
    sources: &[
        "guest-models/runtimes/conformance/text_models.py",
        "guest-models/runtimes/conformance/bert.py",
        "guest-models/runtimes/conformance/requirements.txt",
    ],
};

impl ConformanceFiles {
    /// Writes the folder, if the script or a package has changed. Returns it.
    pub(crate) fn write(&self, python: &Path) -> Result<PathBuf> {
        let folder = target().join(self.folder);
        let written_with = target().join(format!("{}-sources.txt", self.folder));
        let mut sources = Vec::new();
        for source in self.sources {
            let path = root().join(source);
            sources.extend(fs::read(&path).with_context(|| format!("cannot read {source}"))?);
        }

        if !fs::read(&written_with).is_ok_and(|present| present == sources) || !folder.exists() {
            fs::remove_dir_all(&folder).ok();
            run(Command::new(python).arg(root().join(self.sources[0])).arg(&folder))?;
            write_if_changed(&written_with, &sources)?;
        }
        Ok(folder)
    }
}

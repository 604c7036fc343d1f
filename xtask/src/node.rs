//! The packages for Node.js that the tests use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::files::{copy, write_if_changed};
use crate::workspace::{root, run, target};

/// The environment variable that names the packages to the tests.
pub(crate) const VARIABLE: &str = "WARDIAN_NODE_PACKAGES";

/// Returns the folder with the packages of `tests/package.json`. It is filled again when that file
/// has changed.
pub(crate) fn packages() -> Result<PathBuf> {
    let wanted = root().join("tests/package.json");
    let folder = target().join("node");
    let installed = folder.join("installed-package.json");
    let content = fs::read(&wanted)?;
    if !fs::read(&installed).is_ok_and(|present| present == content) {
        copy(&wanted, &folder.join("package.json"))?;
        install(&folder)?;
        write_if_changed(&installed, &content)?;
    }
    Ok(folder.join("node_modules"))
}

fn install(folder: &Path) -> Result<()> {
    let quietly = ["--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"];
    run(Command::new("npm").current_dir(folder).arg("install").args(quietly))
}

//! A Python environment with the stock clients that the tests use.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::files::put;
use crate::workspace::{root, run, target};

/// The interpreter of an environment that has what `tests/requirements.txt` asks for; it is made
/// anew when that file has changed.
pub(crate) fn environment() -> Result<PathBuf> {
    let requirements = root().join("tests/requirements.txt");
    let wanted = fs::read(&requirements)?;
    let folder = target().join("venv");
    let installed = folder.join("installed-requirements.txt");
    let python = folder.join("bin/python");
    if !fs::read(&installed).is_ok_and(|present| present == wanted) {
        install(&folder, &python, &requirements)?;
        put(&installed, &wanted)?;
    }
    Ok(python)
}

fn install(folder: &Path, python: &Path, requirements: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(folder))?;
    run(Command::new(python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))
}

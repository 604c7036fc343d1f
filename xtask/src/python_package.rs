//! The Python package `wardian`: its tests, and the models of other libraries that it saves.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result};

use crate::files::write_if_changed;
use crate::python;
use crate::workspace::{root, run, target};

/// The environment variable that names the folder of the saved models to the tests.
pub(crate) const VARIABLE: &str = "WARDIAN_CONFORMANCE";

/// The folders that the models are made with: the cases, and the package.
const SOURCES: [&str; 2] = ["guest-models/runtimes/conformance", "python"];

/// Saves the models of every library, with 500 golden rows each. Returns their folder, which is a
/// repository of models. They are made again when the cases or the package have changed.
pub(crate) fn save_models(python: &Path) -> Result<PathBuf> {
    let folder = target().join("conformance");
    let made_with = target().join("conformance-sources.txt");
    let sources = sources()?;

    if !is_same(&made_with, &sources) || !folder.exists() {
        fs::remove_dir_all(&folder).ok();
        run(Command::new(python)
            .arg(root().join("guest-models/runtimes/conformance/generate.py"))
            .arg(&folder))?;
        write_if_changed(&made_with, &sources)?;
    }
    Ok(folder)
}

/// Installs the package as its readers do, from a wheel, if it has changed.
pub(crate) fn install(python: &Path) -> Result<()> {
    let environment = python.parent().and_then(Path::parent).unwrap_or(python);
    let installed = environment.join("installed-package.txt");
    let sources = sources()?;

    if !is_same(&installed, &sources) {
        python::install_package(python, &root().join("python"))?;
        write_if_changed(&installed, &sources)?;
    }
    Ok(())
}

/// Runs the tests of the package.
pub(crate) fn test(python: &Path, arguments: &[String]) -> Result<()> {
    let mut pytest = Command::new(python);
    pytest.current_dir(root()).args(["-m", "pytest", "--quiet", "-rs", "python"]);
    run(pytest.args(arguments))
}

fn is_same(file: &Path, content: &[u8]) -> bool {
    fs::read(file).is_ok_and(|present| present == content)
}

/// Returns the content of every source, one after another.
fn sources() -> Result<Vec<u8>> {
    let mut files = Vec::new();
    for folder in SOURCES {
        collect(&root().join(folder), &mut files)?;
    }
    files.sort();

    let mut content = Vec::new();
    for file in files {
        content.extend(format!("{}\n", file.display()).bytes());
        content.extend(fs::read(&file)?);
    }
    Ok(content)
}

fn collect(folder: &Path, files: &mut Vec<PathBuf>) -> Result<()> {
    let entries =
        fs::read_dir(folder).with_context(|| format!("cannot read {}", folder.display()))?;
    for entry in entries {
        let path = entry?.path();
        let extension = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if path.is_dir() {
            collect(&path, files)?;
        } else if ["py", "toml", "txt"].contains(&extension) {
            files.push(path);
        }
    }
    Ok(())
}

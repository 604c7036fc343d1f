//! Paths of the workspace, and running programs there.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, ensure};

/// The workspace's root, which is where cargo found this crate.
pub(crate) fn root() -> PathBuf {
    let xtask = std::env::var_os("CARGO_MANIFEST_DIR").map(PathBuf::from);
    xtask.and_then(|folder| folder.parent().map(PathBuf::from)).unwrap_or_default()
}

/// The folder of build outputs. CARGO_TARGET_DIR is ignored, since tests look for the guests here.
pub(crate) fn target() -> PathBuf {
    root().join("target")
}

/// Returns the cargo that runs this program.
pub(crate) fn cargo() -> Command {
    let mut command = Command::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()));
    command.current_dir(root());
    // The variables that cargo sets for this crate are removed. Build scripts that read them, such
    // as ring's, would run again, with all that depends on them, whenever cargo is called by hand
    // in between.
    for (name, _) in std::env::vars_os() {
        if is_of_this_crate(&name.to_string_lossy()) {
            command.env_remove(name);
        }
    }
    command
}

fn is_of_this_crate(variable: &str) -> bool {
    ["CARGO_PKG_", "CARGO_MANIFEST_"].iter().any(|prefix| variable.starts_with(prefix))
}

/// Runs a program to its end and returns its standard output, trimmed.
pub(crate) fn output(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(output.status.success(), "{command:?} ended with {}", output.status);

    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}

/// Runs a program to its end. Fails unless it succeeds.
pub(crate) fn run(command: &mut Command) -> Result<()> {
    let status = command.status().with_context(|| format!("cannot start {command:?}"))?;
    ensure!(status.success(), "{command:?} ended with {status}");
    Ok(())
}

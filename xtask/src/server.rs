//! Builds the server as it ships: optimised, without debug information, which goes into a file beside it.
//!
//! ```text
//! target/release/wardian         the program, with the names of its functions
//! target/release/wardian.debug   its line tables, for backtraces and debuggers
//! ```

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};

use crate::workspace::{cargo, output, root, run};

/// The program is smaller than this, in bytes. It was 232 MB with its debug information.
const LARGEST_PROGRAM: u64 = 48 << 20;

/// Builds the program, and returns where it is.
pub(crate) fn build() -> Result<PathBuf> {
    run(cargo().args(["build", "--release", "--package", "wardian"]))?;

    let program = build_folder().join("release/wardian");
    split_debug_information(&program)?;
    Ok(program)
}

/// Builds the program, and fails if it is too large or cannot say its version.
pub(crate) fn check() -> Result<()> {
    let program = build()?;
    let size = fs::metadata(&program)?.len();
    ensure!(size < LARGEST_PROGRAM, "{} has {size} bytes; at most {LARGEST_PROGRAM} are wanted", program.display());

    let debug = program.with_added_extension("debug");
    ensure!(debug.exists(), "{} is missing", debug.display());
    run(Command::new(program).arg("--version"))
}

/// Moves the debug information of a program into a file beside it, where debuggers and the standard library's
/// backtraces look for it. Does nothing if it has none.
fn split_debug_information(program: &Path) -> Result<()> {
    let objcopy = objcopy()?;
    let debug = program.with_added_extension("debug");
    let lean = program.with_added_extension("lean");
    if !has_debug_information(program)? {
        return Ok(());
    }

    run(Command::new(&objcopy).arg("--only-keep-debug").arg(program).arg(&debug))?;
    let mut strip = Command::new(&objcopy);
    strip.arg("--strip-debug").arg(format!("--add-gnu-debuglink={}", debug.display()));
    run(strip.arg(program).arg(&lean))?;

    // Renamed and not overwritten: the program may be running, and cargo keeps a link to what it built.
    fs::rename(&lean, program).with_context(|| format!("cannot replace {}", program.display()))
}

/// Whether a program holds a section of line tables.
fn has_debug_information(program: &Path) -> Result<bool> {
    let content = fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    // The names of all sections stand in one table near the end of the file.
    Ok(content.windows(SECTION.len()).rev().take(64 << 10).any(|window| window == SECTION))
}

const SECTION: &[u8] = b"\0.debug_line\0";

/// The toolchain's own `objcopy`, so that none has to be installed.
fn objcopy() -> Result<PathBuf> {
    let sysroot = PathBuf::from(output(Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]))?);
    let host = output(Command::new("rustc").current_dir(root()).args(["--print", "host-tuple"]))?;
    let program = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    ensure!(program.exists(), "the toolchain has no {}; install it anew with rustup", program.display());
    Ok(program)
}

/// The folder in which cargo builds the host.
fn build_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

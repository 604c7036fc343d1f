//! Builds the server for release: optimised, with its debug information in a file of its own.
//!
//! ```text
//! target/release/wardian         the program, with the names of its functions
//! target/release/wardian.debug   its line tables, for backtraces and debuggers
//! ```
//!
//! With the profile `dist` they are in `target/dist/`.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::workspace::{cargo, output, root, run, target};

/// The profile with which newcomers build: the fastest to build of the optimised ones.
pub(crate) const RELEASE: &str = "release";

/// Builds the program and returns its path.
pub(crate) fn build(profile: &str) -> Result<PathBuf> {
    run(cargo().args(["build", "--profile", profile, "--package", "wardian"]))?;

    let program = build_folder().join(profile).join("wardian");
    split_debug_information(&program)?;
    Ok(program)
}

/// Builds the program with the profile that the arguments ask for.
pub(crate) fn build_as_asked(arguments: &[String]) -> Result<()> {
    let profile = match arguments {
        [] => RELEASE,
        [flag] if flag == "--dist" => "dist",
        _ => bail!("usage: cargo xtask server [--dist]"),
    };
    build(profile).map(drop)
}

/// Splits the debug information of a copy of the test build. Fails if any is left or the copy does
/// not run. A release build would take ten minutes more.
pub(crate) fn check_split() -> Result<()> {
    let folder = target().join("split");
    let program = folder.join("wardian");
    fs::create_dir_all(&folder)?;
    fs::copy(build_folder().join("debug/wardian"), &program)?;

    ensure!(
        has_debug_information(&program)?,
        "the program that was built for the tests has no line tables"
    );
    split_debug_information(&program)?;
    ensure!(!has_debug_information(&program)?, "{} has line tables", program.display());
    ensure!(
        has_debug_information(&program.with_added_extension("debug"))?,
        "the line tables are lost"
    );
    run(Command::new(program).arg("--version"))
}

/// Moves the debug information of a program into a file beside it, where debuggers and the standard
/// library's backtraces look for it. Does nothing if it has none.
fn split_debug_information(program: &Path) -> Result<()> {
    let debug = program.with_added_extension("debug");
    let lean = program.with_added_extension("lean");
    if !has_debug_information(program)? {
        return Ok(());
    }

    run(objcopy()?.arg("--only-keep-debug").arg(program).arg(&debug))?;
    let mut strip = objcopy()?;
    strip.arg("--strip-debug").arg(format!("--add-gnu-debuglink={}", debug.display()));
    run(strip.arg(program).arg(&lean))?;

    // Renamed and not overwritten: the program may be running, and cargo keeps a hard link to it.
    fs::rename(&lean, program).with_context(|| format!("cannot replace {}", program.display()))
}

/// True if a program has line tables.
fn has_debug_information(program: &Path) -> Result<bool> {
    let content =
        fs::read(program).with_context(|| format!("cannot read {}", program.display()))?;
    let names = section_names(&content)
        .with_context(|| format!("{} is no 64-bit ELF file", program.display()))?;

    Ok(names.split(|byte| *byte == 0).any(|name| name == b".debug_line"))
}

/// The names of an ELF file's sections, each followed by a zero.
///
/// Follows the System V ABI's layout of a 64-bit little-endian file.
fn section_names(elf: &[u8]) -> Option<&[u8]> {
    let word =
        |at: usize| Some(usize::from(u16::from_le_bytes(elf.get(at..at + 2)?.try_into().ok()?)));
    let address =
        |at: usize| usize::try_from(u64::from_le_bytes(elf.get(at..at + 8)?.try_into().ok()?)).ok();
    let headers = address(0x28)?;
    let header_size = word(0x3a)?;
    let names_index = word(0x3e)?;

    let names = headers.checked_add(header_size * names_index)?;
    let start = address(names.checked_add(0x18)?)?;
    let size = address(names.checked_add(0x20)?)?;
    elf.get(start..start.checked_add(size)?)
}

/// The toolchain's own `objcopy`, so that none has to be installed.
fn objcopy() -> Result<Command> {
    let sysroot = PathBuf::from(output(
        Command::new("rustc").current_dir(root()).args(["--print", "sysroot"]),
    )?);
    let host = output(Command::new("rustc").current_dir(root()).args(["--print", "host-tuple"]))?;
    let program = sysroot.join("lib/rustlib").join(host).join("bin/rust-objcopy");
    ensure!(
        program.exists(),
        "the toolchain has no {}; install it anew with rustup",
        program.display()
    );

    let mut command = Command::new(program);
    // It is linked with the compiler's LLVM.
    command.env("LD_LIBRARY_PATH", sysroot.join("lib"));
    Ok(command)
}

/// The folder of cargo's build outputs for the host.
fn build_folder() -> PathBuf {
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_sections_of_a_program_are_named() {
        let program = fs::read(std::env::current_exe().unwrap()).unwrap();
        let names = section_names(&program).unwrap();
        assert!(names.split(|byte| *byte == 0).any(|name| name == b".text"));
    }

    #[test]
    fn a_file_that_is_no_program_has_no_sections() {
        assert_eq!(section_names(b""), None);
        assert_eq!(section_names(&[0xff; 100]), None);
    }
}

//! Checks the requirements of a build, and installs what rustup can install.

use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

use crate::files::folder_size;
use crate::workspace::{root, target};

/// The target that guests are built for.
pub(crate) const GUEST_TARGET: &str = "wasm32-wasip2";

/// Bytes that `cargo xtask serve` leaves in `target/`, measured and rounded up.
pub(crate) const DISK_TO_SERVE: u64 = 2 << 30;

/// Bytes that `cargo xtask test` leaves in `target/`, measured and rounded up.
pub(crate) const DISK_TO_TEST: u64 = 7 << 30;

/// Checks that guests and the host can be built into `disk` bytes of `target/`.
///
/// # Errors
///
/// One sentence for each requirement that is missing and cannot be installed.
pub(crate) fn ensure(disk: u64) -> Result<()> {
    let checks = [guest_target(), c_compiler(), disk_space(disk)];
    let missing: Vec<String> = checks.into_iter().filter_map(Result::err).collect();

    if missing.is_empty() {
        return Ok(());
    }
    bail!("this machine cannot build Wardian yet\n  - {}", missing.join("\n  - "));
}

/// Checks that a component of the toolchain is installed, such as `clippy`, and installs it
/// otherwise.
pub(crate) fn ensure_component(name: &str, program: &str) -> Result<()> {
    if succeeds(Command::new("cargo").args([program, "--version"])) {
        return Ok(());
    }
    eprintln!("installing the toolchain component {name} with rustup");
    if rustup(&["component", "add", name]) {
        return Ok(());
    }
    bail!("the toolchain component {name} is missing; install it: rustup component add {name}");
}

/// A toolchain that was installed before this project named its target lacks the target, and rustup
/// does not add it by itself.
fn guest_target() -> Result<(), String> {
    if has_guest_target() {
        return Ok(());
    }
    eprintln!("installing the Rust target {GUEST_TARGET} with rustup");
    if rustup(&["target", "add", GUEST_TARGET]) && has_guest_target() {
        return Ok(());
    }
    Err(format!(
        "the Rust target {GUEST_TARGET} is missing and could not be installed; with rustup (https://rustup.rs) and a \
         network connection, run: rustup target add {GUEST_TARGET}"
    ))
}

fn has_guest_target() -> bool {
    let mut rustc = Command::new("rustc");
    rustc.current_dir(root()).args(["--print", "target-libdir", "--target", GUEST_TARGET]);

    let Ok(output) = rustc.stderr(Stdio::null()).output() else { return false };
    Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir()
}

/// SQLite and the cryptography library are C, and every program is linked by the C compiler.
fn c_compiler() -> Result<(), String> {
    let compiler = std::env::var("CC").unwrap_or_else(|_| "cc".to_owned());
    if !succeeds(Command::new(&compiler).arg("--version")) {
        return Err(format!(
            "the C compiler `{compiler}` cannot be run; install one (Debian: apt-get install gcc libc6-dev), or name \
             it in the environment variable CC"
        ));
    }
    let mut preprocess = Command::new(&compiler);

    if !succeeds(preprocess.args(["-E", "-include", "stdio.h", "-x", "c", "/dev/null"])) {
        return Err(format!(
            "the C compiler `{compiler}` does not find the headers of the C library; install them (Debian: apt-get \
             install libc6-dev)"
        ));
    }
    Ok(())
}

/// Counts the present build outputs as free, since a build replaces or uses them.
fn disk_space(needed: u64) -> Result<(), String> {
    let Some(free) = free_bytes(&root()) else { return Ok(()) };
    let available = free.saturating_add(folder_size(&target()));

    if available >= needed {
        return Ok(());
    }
    let mib = |bytes: u64| bytes >> 20;

    Err(format!(
        "the build takes up to {} MiB in {}, and that disk has {} MiB; make room, or put the folder on a larger disk",
        mib(needed),
        target().display(),
        mib(available)
    ))
}

/// The free bytes of a folder's file system for an unprivileged process. `None` if `df` fails.
fn free_bytes(folder: &Path) -> Option<u64> {
    let output = Command::new("df").arg("-Pk").arg(folder).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;

    available_kib(&text).map(|kib| kib.saturating_mul(1024))
}

/// Reads the fourth column of the second line of `df -P`, as POSIX defines it.
fn available_kib(text: &str) -> Option<u64> {
    text.lines().nth(1)?.split_whitespace().nth(3)?.parse().ok()
}

fn rustup(arguments: &[&str]) -> bool {
    Command::new("rustup")
        .current_dir(root())
        .args(arguments)
        .status()
        .is_ok_and(|status| status.success())
}

fn succeeds(command: &mut Command) -> bool {
    let quiet = command
        .current_dir(root())
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    quiet.status().is_ok_and(|status| status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn free_space_is_the_fourth_column_of_df() {
        let text = "Filesystem 1024-blocks Used Available Capacity Mounted on\n/dev/sda1 1000 400 600 40% /\n";
        assert_eq!(available_kib(text), Some(600));
        assert_eq!(available_kib("Filesystem\n"), None);
        assert_eq!(available_kib(""), None);
    }

    #[test]
    fn a_full_disk_is_reported_with_both_figures() {
        let refusal = disk_space(u64::MAX).unwrap_err();
        assert!(refusal.starts_with("the build takes up to 17592186044415 MiB in "), "{refusal}");
        assert!(disk_space(0).is_ok());
    }
}

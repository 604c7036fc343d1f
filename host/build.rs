//! Builds the runtimes of `guest-models/runtimes/` for WebAssembly, for the program to embed.
//!
//! Each is built by a cargo of its own into `target/runtimes`, which every profile shares, with the
//! settings of all guests. Variables of the outer build, such as the flags of a fuzz build, do not
//! apply to it.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

type Result<T> = std::result::Result<T, Box<dyn Error>>;

const TARGET: &str = "wasm32-wasip2";
/// The profile in the workspace's manifest.
const PROFILE: &str = "guest";

fn main() {
    if let Err(error) = build() {
        println!("cargo::error=cannot build the runtimes that the program embeds: {error}");
    }
}

fn build() -> Result<()> {
    let manifest = PathBuf::from(variable("CARGO_MANIFEST_DIR")?);
    let root = manifest.parent().ok_or("this crate lies in no workspace")?.to_owned();
    let out = PathBuf::from(variable("OUT_DIR")?);
    watch(&root);

    let names = runtimes(&root.join("guest-models/runtimes"))?;
    check_target()?;
    let built = compile(&root, &names)?;
    names.iter().try_for_each(|name| embed(&built.join(file(name)), &out.join(file(name))))?;

    write_if_changed(&out.join("runtimes.rs"), list(&names).as_bytes())
}

/// Names everything that the runtimes are built from.
fn watch(root: &Path) {
    let parts = ["guest-models/runtimes", "guest-models/sdk", "wit", "Cargo.toml", "Cargo.lock"];
    for part in parts {
        println!("cargo::rerun-if-changed={}", root.join(part).display());
    }
}

/// Returns the names of the crates in a folder that are components, sorted. The others are
/// libraries that these have in common.
fn runtimes(folder: &Path) -> Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let manifest = fs::read_to_string(entry.path().join("Cargo.toml")).unwrap_or_default();
        if manifest.contains("\"cdylib\"") {
            names.push(entry.file_name().to_string_lossy().into_owned());
        }
    }

    names.sort();
    Ok(names)
}

fn check_target() -> Result<()> {
    let mut rustc = Command::new(variable("RUSTC")?);
    let output = rustc.args(["--print", "target-libdir", "--target", TARGET]).output()?;
    if Path::new(String::from_utf8_lossy(&output.stdout).trim()).is_dir() {
        return Ok(());
    }

    let why =
        format!("the Rust target {TARGET} is missing; install it: rustup target add {TARGET}");
    Err(why.into())
}

/// Builds the crates. Returns the folder of the components.
fn compile(root: &Path, names: &[String]) -> Result<PathBuf> {
    let target = target_folder(root);
    let mut cargo = Command::new(variable("CARGO")?);
    clear_outer_build(&mut cargo);

    cargo.current_dir(root).args(["build", "--quiet", "--profile", PROFILE, "--target", TARGET]);
    cargo.arg("--target-dir").arg(&target);
    for name in names {
        cargo.args(["--package", name]);
    }

    let output = cargo.output()?;
    if !output.status.success() {
        let lines = String::from_utf8_lossy(&output.stderr).into_owned();
        lines.lines().for_each(|line| println!("cargo::warning={line}"));
        return Err(format!("{cargo:?} ended with {}", output.status).into());
    }

    Ok(target.join(TARGET).join(PROFILE))
}

/// A folder of its own: the outer build holds the lock on the usual one.
fn target_folder(root: &Path) -> PathBuf {
    let target = std::env::var_os("CARGO_TARGET_DIR").map(|folder| root.join(folder));
    target.unwrap_or_else(|| root.join("target")).join("runtimes")
}

/// Removes the variables that cargo sets for this script, and the compilers and flags of the outer
/// build.
fn clear_outer_build(cargo: &mut Command) {
    const OF_THE_SCRIPT: [&str; 7] = [
        "CARGO_CFG_",
        "CARGO_FEATURE_",
        "CARGO_MANIFEST_",
        "CARGO_PKG_",
        "CARGO_BIN_",
        "DEP_",
        "CARGO_PROFILE_",
    ];
    // Incremental compilation, among others, excludes the link-time optimisation of guests.
    const OF_THE_BUILD: [&str; 12] = [
        "CARGO_BUILD_RUSTFLAGS",
        "CARGO_BUILD_TARGET",
        "CARGO_ENCODED_RUSTFLAGS",
        "CARGO_INCREMENTAL",
        "DEBUG",
        "HOST",
        "NUM_JOBS",
        "OPT_LEVEL",
        "OUT_DIR",
        "PROFILE",
        "RUSTC_WORKSPACE_WRAPPER",
        "RUSTFLAGS",
    ];

    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let is_outer = OF_THE_BUILD.contains(&&*text) || text == "TARGET" || text == "CLIPPY_ARGS";
        if is_outer || OF_THE_SCRIPT.iter().any(|prefix| text.starts_with(prefix)) {
            cargo.env_remove(&name);
        }
    }
}

fn embed(component: &Path, copy: &Path) -> Result<()> {
    let content = fs::read(component)
        .map_err(|error| format!("cannot read {}: {error}", component.display()))?;
    write_if_changed(copy, &content)
}

fn write_if_changed(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    Ok(fs::write(path, content)?)
}

fn file(name: &str) -> String {
    name.replace('-', "_") + ".wasm"
}

/// The Rust source that includes the components.
fn list(names: &[String]) -> String {
    let include = |name: &String| {
        format!("    include_bytes!(concat!(env!(\"OUT_DIR\"), \"/{}\")),\n", file(name))
    };
    format!("&[\n{}]\n", names.iter().map(include).collect::<String>())
}

fn variable(name: &str) -> Result<String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}").into())
}

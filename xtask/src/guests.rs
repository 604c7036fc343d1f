//! Builds every guest and copies it into `target/`: the example models as a repository, the
//! interceptors and the test guests side by side.
//!
//! ```text
//! target/models/iris.wasm
//! target/models/digits/1/{model.wasm,golden.json,weights.bin}
//! target/interceptors/redact.wasm
//! target/test-guests/scripted.wasm
//! ```

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::files::{copy, write_if_changed};
use crate::no_snapshot::forbid_snapshot;
use crate::prerequisites::GUEST_TARGET;
use crate::workspace::{cargo, root, run, target};

/// The profile in the workspace's manifest.
const PROFILE: &str = "guest";

/// An example model: a crate in `guest-models/`.
struct Example {
    name: &'static str,
    /// Files of its crate that are copied beside the component.
    sidecars: &'static [&'static str],
}

const EXAMPLES: &[Example] = &[
    Example { name: "house-price", sidecars: &["golden.json"] },
    Example { name: "chat", sidecars: &["golden.json", "weights.bin"] },
    Example { name: "digits", sidecars: &["golden.json", "weights.bin"] },
    Example { name: "digits-wide", sidecars: &["golden.json", "weights.bin"] },
    Example { name: "language-id", sidecars: &["golden.json"] },
    Example { name: "learner", sidecars: &["golden.json"] },
    Example { name: "notes", sidecars: &["golden.json"] },
    Example { name: "upper", sidecars: &["golden.json"] },
];

/// An example without a folder of its own.
const BARE_EXAMPLE: &str = "iris";

/// Crates in `guest-models/interceptors/`. They are kept out of the repository of the examples, so
/// that a reader first sees models and then puts an interceptor in front of them.
const INTERCEPTORS: &[&str] = &["caller-rule", "measure", "redact"];

/// Crates in `tests/guests/`.
const TEST_GUESTS: &[&str] = &[
    "batcher",
    "embedder",
    "http-caller",
    "kernel-calls",
    "key-value-operations",
    "memory-residue",
    "minimal",
    "multiplier",
    "scripted",
    "scripted-interceptor",
    "session-migration",
    "session-words",
    "side-by-side",
    "sql-steps",
    "streamer",
];

/// Those that are also built as components without a snapshot.
const NO_SNAPSHOT: &[&str] = &["memory-residue", "scripted"];

/// Builds all guests and copies them into `target/`.
pub(crate) fn build() -> Result<()> {
    compile(INTERCEPTORS.iter().chain(TEST_GUESTS).chain(&example_names()))?;
    lay_out_examples()?;
    TEST_GUESTS.iter().try_for_each(|name| copy(&component(name), &test_guest(name)))?;
    NO_SNAPSHOT.iter().try_for_each(|name| lay_out_no_snapshot(name))
}

/// Builds the example models and the interceptors of the documentation.
pub(crate) fn build_examples() -> Result<()> {
    compile(INTERCEPTORS.iter().chain(&example_names()))?;
    lay_out_examples()
}

fn example_names() -> Vec<&'static str> {
    EXAMPLES.iter().map(|example| example.name).chain([BARE_EXAMPLE]).collect()
}

fn lay_out_examples() -> Result<()> {
    EXAMPLES.iter().try_for_each(lay_out)?;
    copy(&component(BARE_EXAMPLE), &target().join(format!("models/{BARE_EXAMPLE}.wasm")))?;

    let interceptor = |name: &str| target().join(format!("interceptors/{name}.wasm"));
    INTERCEPTORS.iter().try_for_each(|name| copy(&component(name), &interceptor(name)))
}

fn compile<'a>(names: impl Iterator<Item = &'a &'static str>) -> Result<()> {
    let mut command = cargo();
    // A folder of its own, so that a build of guests never waits for one of the host.
    command
        .args(["build", "--profile", PROFILE, "--target", GUEST_TARGET, "--target-dir"])
        .arg(target().join("guests"));
    for name in names {
        command.args(["--package", name]);
    }
    run(&mut command)
}

fn lay_out(example: &Example) -> Result<()> {
    let crate_folder = root().join("guest-models").join(example.name);
    let version = target().join("models").join(example.name).join("1");
    let settings = crate_folder.join("model.toml");

    if settings.exists() {
        copy(&settings, &target().join("models").join(example.name).join("model.toml"))?;
    }
    // The component comes last, after the files that it reads.
    example
        .sidecars
        .iter()
        .try_for_each(|file| copy(&crate_folder.join(file), &version.join(file)))?;

    copy(&component(example.name), &version.join("model.wasm"))
}

/// Writes a test guest as a component without a snapshot.
fn lay_out_no_snapshot(name: &str) -> Result<()> {
    let built =
        std::fs::read(component(name)).with_context(|| format!("cannot read the {name}"))?;
    write_if_changed(&test_guest(&format!("{name}-no-snapshot")), &forbid_snapshot(built)?)
}

fn component(name: &str) -> PathBuf {
    let file = name.replace('-', "_") + ".wasm";
    target().join(Path::new("guests").join(GUEST_TARGET).join(PROFILE).join(file))
}

fn test_guest(name: &str) -> PathBuf {
    target().join("test-guests").join(format!("{name}.wasm"))
}

//! One function per command.

use std::path::Path;
use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::prerequisites::{self, DISK_TO_SERVE, DISK_TO_TEST};
use crate::provisions::Provisions;
use crate::workspace::{cargo, run, target};
use crate::{fuzz, guests, python, python_package, server, skipped_tests, tidy};

pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    prerequisites::ensure(DISK_TO_SERVE)?;
    print_step(
        "1 of 3: building the example models for WebAssembly; the first time takes about a minute",
    );
    guests::build_examples()?;

    print_step("2 of 3: building the server; the first time takes about nine minutes on two cores");
    let program = server::build()?;

    print_step("3 of 3: serving the models in target/models");
    run(Command::new(program)
        .args(["serve", "--models"])
        .arg(target().join("models"))
        .args(arguments))
}

pub(crate) fn test(arguments: &[String]) -> Result<()> {
    prerequisites::ensure(DISK_TO_TEST)?;
    print_step(
        "building the example models and the test guests; the first time takes about a minute",
    );
    guests::build()?;

    print_step("installing what some tests need; the first time takes about two minutes");
    let skipped = skipped_tests::create_file()?;
    let provisions = Provisions::gather(&skipped)?;
    // The arguments are cargo's, so a run of some tests leaves these out.
    if arguments.is_empty() {
        test_python_package(&provisions, &skipped)?;
    }

    print_step(
        "testing the guests and the tools; the first time takes about two minutes on two cores",
    );
    // In two steps: with the guests, the engine would be built with other features, and again for a
    // build of the host alone.
    let mut command = cargo();
    command.args(["test", "--workspace"]).args(WITHOUT_FUZZ).args(WITHOUT_SERVER);
    provisions.give_to(&mut command);
    run(command.args(arguments))?;

    print_step(
        "building and testing the server; the first time takes about twelve minutes on two cores, and the tests ten",
    );
    let mut command = cargo();
    // Together, because the engine would be built with other features for `wardian-core` alone.
    command.args(["test", "--package", "wardian", "--package", "wardian-core"]);
    provisions.give_to(&mut command);
    let outcome = run(command.args(arguments));
    skipped_tests::print_report(&skipped);
    outcome
}

fn test_python_package(provisions: &Provisions, skipped: &Path) -> Result<()> {
    match provisions.libraries() {
        Some(python) => python_package::test(python, &[]),
        None => skipped_tests::note_python_package(skipped),
    }
}

/// Saves the models of the libraries and runs the tests of the Python package, without the server.
pub(crate) fn python(arguments: &[String]) -> Result<()> {
    let python = python::libraries()?;
    python_package::install(&python)?;
    python_package::save_models(&python)?;
    python_package::test(&python, arguments)
}

pub(crate) fn lint() -> Result<()> {
    prerequisites::ensure_component("rustfmt", "fmt")?;
    prerequisites::ensure_component("clippy", "clippy")?;
    run(cargo().args(["fmt", "--all", "--check"]))?;
    tidy::check()?;
    run(cargo().args(["clippy", "--workspace"]).args(WITHOUT_FUZZ).args([
        "--all-targets",
        "--",
        "-D",
        "warnings",
    ]))
}

/// The functions that fuzz targets call exist only in the build that [`fuzz`] makes.
const WITHOUT_FUZZ: [&str; 2] = ["--exclude", "wardian-fuzz"];

const WITHOUT_SERVER: [&str; 4] = ["--exclude", "wardian", "--exclude", "wardian-core"];

pub(crate) fn ci() -> Result<()> {
    prerequisites::ensure(DISK_TO_TEST)?;
    timed("lint", lint)?;
    timed("test", || test(&[]))?;
    timed("debug information apart", server::check_split)?;
    timed("fuzz", fuzz::run_for_ci)
}

fn timed(what: &str, command: impl FnOnce() -> Result<()>) -> Result<()> {
    let start = Instant::now();
    command()?;
    print_step(&format!("{what}: {} s", start.elapsed().as_secs()));
    Ok(())
}

pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    prerequisites::ensure(DISK_TO_SERVE)?;
    guests::build()?;

    let mut command = cargo();
    command.args(["bench", "--package", "wardian", "--bench", "serving", "--"]).args(arguments);
    if measures_model_files(arguments) {
        let libraries = python::libraries()?;
        python_package::install(&libraries)?;
        command.env(python::LIBRARIES_VARIABLE, libraries);
        command.env(python::PEERS_VARIABLE, python::peers()?);
    }
    run(&mut command)
}

/// True for the arguments of a benchmark with a part that needs Python.
fn measures_model_files(arguments: &[String]) -> bool {
    let has = |text: &str| arguments.iter().any(|argument| argument == text);
    has("model-files") || !(has("--only") || has("--help"))
}

/// Runs one server under traffic, swaps and attacks, for the given number of minutes.
pub(crate) fn soak(arguments: &[String]) -> Result<()> {
    let minutes = arguments.first().map_or("30", String::as_str);
    bench(&["--only", "soak", "--minutes", minutes].map(str::to_owned))
}

/// Prints the next step, set apart from cargo's own output.
fn print_step(text: &str) {
    eprintln!("==> {text}");
}

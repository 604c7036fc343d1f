//! One function per command.

use std::path::Path;
use std::process::Command;
use std::thread;
use std::time::Instant;

use anyhow::{Result, anyhow};

use crate::prerequisites::{self, DISK_TO_SERVE, DISK_TO_TEST};
use crate::provisions::Provisions;
use crate::workspace::{cargo, run, target};
use crate::{conformance_files, fuzz, guests, python, python_package, server, skipped_tests, tidy};

pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    prerequisites::ensure(DISK_TO_SERVE)?;
    print_step(
        "1 of 3: building the example models for WebAssembly; the first time takes about a minute",
    );
    guests::build_examples()?;

    print_step("2 of 3: building the server; the first time takes about nine minutes on two cores");
    let program = server::build(server::RELEASE)?;

    print_step("3 of 3: serving the models in target/models");
    run(Command::new(program)
        .args(["serve", "--models"])
        .arg(target().join("models"))
        .args(arguments))
}

pub(crate) fn test(arguments: &[String]) -> Result<()> {
    prerequisites::ensure(DISK_TO_TEST)?;
    let skipped = skipped_tests::create_file()?;
    let provisions = build_and_install(arguments, &skipped)?;

    // The arguments are cargo's, so a run of some tests leaves these out.
    if arguments.is_empty() {
        print_step("testing the Python package");
        test_python_package(&provisions, &skipped)?;
    }

    print_step("testing the guests and the tools");
    let mut command = tests_of_guests();
    provisions.give_to(&mut command);
    run(command.args(arguments))?;

    print_step("testing the server; it takes about ten minutes on two cores");
    let mut command = tests_of_server();
    provisions.give_to(&mut command);
    let outcome = run(command.args(arguments));
    skipped_tests::print_report(&skipped);
    outcome
}

/// Builds the guests and all tests. Meanwhile installs what some tests need, which mostly waits for
/// downloads.
fn build_and_install(arguments: &[String], skipped: &Path) -> Result<Provisions> {
    print_step(
        "building all tests and installing what they need; the first time takes about fifteen minutes on two cores",
    );
    thread::scope(|scope| {
        let installing = scope.spawn(|| Provisions::gather(skipped));
        guests::build()?;
        run(tests_of_guests().arg("--no-run").args(arguments))?;
        run(tests_of_server().arg("--no-run").args(arguments))?;
        installing.join().unwrap_or_else(|_| Err(anyhow!("the installation panicked")))
    })
}

/// The tests of guests and tools. With them, the engine would be built with other features, and
/// again for a build of the host alone.
fn tests_of_guests() -> Command {
    let mut command = cargo();
    command.args(["test", "--workspace"]).args(WITHOUT_FUZZ).args(WITHOUT_SERVER);
    command
}

/// The tests of both crates of the server. The engine would be built with other features for
/// `wardian-core` alone.
fn tests_of_server() -> Command {
    let mut command = cargo();
    command.args(["test", "--package", "wardian", "--package", "wardian-core"]);
    command
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
    if measures(arguments, "model-files") {
        let libraries = python::libraries()?;
        python_package::install(&libraries)?;
        command.env(python::LIBRARIES_VARIABLE, libraries);
        command.env(python::PEERS_VARIABLE, python::peers()?);
    }
    if measures(arguments, "networks") {
        let libraries = python::libraries()?;
        let models = &conformance_files::TEXT_MODELS;
        command.env(models.variable, models.write(&libraries)?);
        command.env(python::LIBRARIES_VARIABLE, libraries);
    }
    run(&mut command)
}

/// True for the arguments of a benchmark that has this part, which needs Python.
fn measures(arguments: &[String], part: &str) -> bool {
    let has = |text: &str| arguments.iter().any(|argument| argument == text);
    has(part) || !(has("--only") || has("--help"))
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

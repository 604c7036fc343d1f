//! One function per command.

use std::process::Command;
use std::time::Instant;

use anyhow::Result;

use crate::prerequisites::{self, DISK_TO_SERVE, DISK_TO_TEST};
use crate::workspace::{cargo, run, target};
use crate::{fuzz, guests, node, python, server, skipped_tests, tidy};

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

    print_step(
        "testing the guests and the tools; the first time takes about two minutes on two cores",
    );
    // In two steps: with the guests, the engine would be built with other features, and again for a
    // build of the host alone.
    run(cargo()
        .args(["test", "--workspace"])
        .args(WITHOUT_FUZZ)
        .args(["--exclude", "wardian"])
        .args(arguments))?;

    print_step(
        "building and testing the server; the first time takes about twelve minutes on two cores, and the tests ten",
    );
    test_host(arguments)
}

fn test_host(arguments: &[String]) -> Result<()> {
    let skipped = skipped_tests::create_file()?;
    let mut command = cargo();
    command
        .args(["test", "--package", "wardian"])
        .args(arguments)
        .env(skipped_tests::VARIABLE, &skipped);
    command.env_remove("WARDIAN_NODE_PACKAGES");

    // Tests that need these are skipped without them, and are reported.
    for (variable, environment) in python::environments() {
        match environment {
            Ok(python) => drop(command.env(variable, python)),
            Err(error) => {
                command.env_remove(variable);
                eprintln!(
                    "warning: the Python packages for {variable} cannot be installed: {error:#}"
                );
            }
        }
    }
    match node::packages() {
        Ok(packages) => drop(command.env("WARDIAN_NODE_PACKAGES", packages)),
        Err(error) => {
            eprintln!("warning: the Node.js packages of the tests cannot be installed: {error:#}")
        }
    }

    let outcome = run(&mut command);
    skipped_tests::print_report(&skipped);
    outcome
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
    run(cargo().args(["bench", "--package", "wardian", "--bench", "serving", "--"]).args(arguments))
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

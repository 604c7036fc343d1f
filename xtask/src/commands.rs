//! One function per command.

use std::fs;

use anyhow::Result;

use crate::workspace::{cargo, run, target};
use crate::{fuzz, guests, node, python};

pub(crate) fn serve(arguments: &[String]) -> Result<()> {
    guests::build()?;
    let models = target().join("models");
    let mut command = cargo();
    command.args(["run", "--release", "--package", "wardian", "--", "serve", "--models"]);
    run(command.arg(models).args(arguments))
}

pub(crate) fn test(arguments: &[String]) -> Result<()> {
    guests::build()?;
    // Not in one go: together with the guests, the engine would be built with other features, and all
    // over again for whoever works on the host alone.
    run(cargo().args(["test", "--workspace"]).args(WITHOUT_FUZZ).args(["--exclude", "wardian"]).args(arguments))?;
    let mut command = cargo();
    command
        .args(["test", "--package", "wardian"])
        .args(arguments)
        .env_remove("WARDIAN_PYTHON")
        .env_remove("WARDIAN_NODE_PACKAGES");
    let mut skipped = Vec::new();
    match python::environment() {
        Ok(python) => drop(command.env("WARDIAN_PYTHON", python)),
        Err(error) => skipped.push(format!("{WITHOUT_PYTHON} ({error:#})")),
    }
    match node::packages() {
        Ok(packages) => drop(command.env("WARDIAN_NODE_PACKAGES", packages)),
        Err(error) => skipped.push(format!("{WITHOUT_NODE} ({error:#})")),
    }
    if !postgres_is_installed() {
        skipped.push(WITHOUT_POSTGRES.to_owned());
    }
    // A test that passes over what it needs passes, and says nothing. So this is said first, for whoever would rather
    // stop and install it, and again where the results are.
    warn(&skipped);
    let outcome = run(&mut command);
    warn(&skipped);
    outcome
}

const WITHOUT_PYTHON: &str = "\
    `stock_clients` (NVIDIA's tritonclient) and all of `remote` that asks S3 are skipped: there is no Python 3 with \
    the packages of tests/requirements.txt; Debian: apt-get install python3-venv";

const WITHOUT_NODE: &str = "\
    `remote::azure` is skipped: there is no Node.js with npm and the packages of tests/package.json; Debian: apt-get \
    install nodejs npm";

const WITHOUT_POSTGRES: &str = "\
    `sql::postgres` is skipped: PostgreSQL is not installed; Debian: apt-get install postgresql";

/// Whether the tests will find it; they look in the same place (`tests/sql/postgres/server.rs`).
fn postgres_is_installed() -> bool {
    let releases = fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    releases.into_iter().any(|release| release.path().join("bin/initdb").exists())
}

fn warn(skipped: &[String]) {
    skipped.iter().for_each(|what| eprintln!("warning: {what}"));
}

pub(crate) fn lint() -> Result<()> {
    run(cargo().args(["fmt", "--all", "--check"]))?;
    run(cargo().args(["clippy", "--workspace"]).args(WITHOUT_FUZZ).args(["--all-targets", "--", "-D", "warnings"]))
}

/// What the fuzz targets call exists only in the build that [`fuzz`] makes.
const WITHOUT_FUZZ: [&str; 2] = ["--exclude", "wardian-fuzz"];

pub(crate) fn ci() -> Result<()> {
    lint()?;
    test(&[])?;
    fuzz::short()
}

pub(crate) fn bench(arguments: &[String]) -> Result<()> {
    guests::build()?;
    run(cargo().args(["bench", "--package", "wardian", "--bench", "serving", "--"]).args(arguments))
}

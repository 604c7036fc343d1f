//! One function per command.

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
    command.args(["test", "--package", "wardian"]).args(arguments);
    match python::environment() {
        Ok(python) => command.env("WARDIAN_PYTHON", python),
        Err(error) => {
            eprintln!("warning: no Python environment, so stock clients are not tested: {error:#}");
            command.env_remove("WARDIAN_PYTHON")
        }
    };
    match node::packages() {
        Ok(packages) => command.env("WARDIAN_NODE_PACKAGES", packages),
        Err(error) => {
            eprintln!("warning: no packages for Node.js, so repositories in Azure are not tested: {error:#}");
            command.env_remove("WARDIAN_NODE_PACKAGES")
        }
    };
    run(&mut command)
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

//! The Python environments of the tests: stock clients, a store for models, and the libraries that
//! train them.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::thread;

use anyhow::{Context, Result, anyhow};

use crate::files::write_if_changed;
use crate::workspace::{root, run, target};

/// A virtual environment with the packages of one list.
struct Environment {
    name: &'static str,
    /// The list of packages. It is complete: nothing else is installed.
    requirements: &'static str,
    /// The environment variable that names the interpreter to the tests.
    variable: &'static str,
}

/// Every environment. Clients that need different versions of a package have separate ones.
const ENVIRONMENTS: [Environment; 9] = [
    environment("main", "tests/requirements.txt", "WARDIAN_PYTHON"),
    environment("openapi", "tests/clients/openapi.requirements.txt", "WARDIAN_PYTHON_OPENAPI"),
    environment("pytriton", "tests/clients/pytriton.requirements.txt", "WARDIAN_PYTHON_PYTRITON"),
    environment("mlserver", "tests/clients/mlserver.requirements.txt", "WARDIAN_PYTHON_MLSERVER"),
    environment("mlflow", "tests/clients/mlflow.requirements.txt", "WARDIAN_PYTHON_MLFLOW"),
    environment("openai", "tests/clients/openai.requirements.txt", "WARDIAN_PYTHON_OPENAI"),
    environment("kserve", "tests/clients/kserve.requirements.txt", "WARDIAN_PYTHON_KSERVE"),
    environment(
        "perf_analyzer",
        "tests/clients/perf_analyzer.requirements.txt",
        "WARDIAN_PYTHON_PERF_ANALYZER",
    ),
    LIBRARIES,
];

/// The libraries that train models, and pytest. The package `wardian` is installed beside them.
const LIBRARIES: Environment = environment(
    "libraries",
    "guest-models/runtimes/conformance/requirements.txt",
    LIBRARIES_VARIABLE,
);

/// The servers that the benchmark of model files measures beside Wardian. No test needs them.
const PEERS: Environment =
    environment("peers", "host/benches/serving/model_files/requirements.txt", PEERS_VARIABLE);

/// The environment variable that names the interpreter with them.
pub(crate) const PEERS_VARIABLE: &str = "WARDIAN_PYTHON_PEERS";

/// The environment variable that names the interpreter with the libraries.
pub(crate) const LIBRARIES_VARIABLE: &str = "WARDIAN_PYTHON_LIBRARIES";

const fn environment(
    name: &'static str,
    requirements: &'static str,
    variable: &'static str,
) -> Environment {
    Environment { name, requirements, variable }
}

/// Installs every environment whose list of packages has changed, all at once. Returns the variable
/// and the interpreter of each.
pub(crate) fn environments() -> Vec<(&'static str, Result<PathBuf>)> {
    let installer = installer().map_err(|error| format!("{error:#}"));
    thread::scope(|scope| {
        let start = |environment: &'static Environment| {
            let installer = installer.clone();
            (environment.variable, scope.spawn(|| environment.install_if_changed(installer)))
        };
        let started: Vec<_> = ENVIRONMENTS.iter().map(start).collect();
        let finished = started.into_iter().map(|(variable, thread)| (variable, join(thread)));
        finished.collect()
    })
}

/// Installs the libraries alone. Returns the interpreter.
pub(crate) fn libraries() -> Result<PathBuf> {
    LIBRARIES.install_alone()
}

/// Installs the servers of the benchmark alone. Returns the interpreter.
pub(crate) fn peers() -> Result<PathBuf> {
    PEERS.install_alone()
}

fn join<T>(thread: thread::ScopedJoinHandle<'_, Result<T>>) -> Result<T> {
    thread.join().unwrap_or_else(|_| Err(anyhow!("the installation panicked")))
}

/// Returns an interpreter with pip, which installs for the others: installing pip in each takes
/// longer than most packages.
fn installer() -> Result<PathBuf> {
    let folder = target().join("python/installer");
    let python = folder.join("bin/python");
    let works = Command::new(&python).args(["-m", "pip", "--version"]).output();
    if !works.is_ok_and(|output| output.status.success()) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
    }
    Ok(python)
}

impl Environment {
    fn install_alone(&self) -> Result<PathBuf> {
        self.install_if_changed(installer().map_err(|error| format!("{error:#}")))
    }

    fn install_if_changed(&self, installer: Result<PathBuf, String>) -> Result<PathBuf> {
        let requirements = root().join(self.requirements);
        let wanted = fs::read(&requirements)
            .with_context(|| format!("cannot read {}", requirements.display()))?;
        let folder = target().join("python").join(self.name);
        let python = folder.join("bin/python");

        let installed = folder.join("installed-requirements.txt");
        if !fs::read(&installed).is_ok_and(|present| present == wanted) {
            let installer = installer.map_err(anyhow::Error::msg)?;
            install(&installer, &folder, &python, &requirements)?;
            write_if_changed(&installed, &wanted)?;
        }
        Ok(python)
    }
}

/// Builds the wheel of a package and installs it. What builds it has to be installed.
pub(crate) fn install_package(python: &Path, folder: &Path) -> Result<()> {
    let mut pip = Command::new(installer()?);
    pip.args(["-m", "pip", "--python"]).arg(python);
    pip.args(["install", "--quiet", "--no-deps", "--no-build-isolation", "--force-reinstall"]);
    run(pip.arg(folder))
}

fn install(installer: &Path, folder: &Path, python: &Path, requirements: &Path) -> Result<()> {
    run(Command::new("python3").args(["-m", "venv", "--clear", "--without-pip"]).arg(folder))?;
    let mut pip = Command::new(installer);
    pip.args(["-m", "pip", "--python"]).arg(python);
    pip.args(["install", "--quiet", "--no-deps", "--no-compile", "--requirement"])
        .arg(requirements);
    run(&mut pip)
}

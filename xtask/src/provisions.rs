//! Packages for Python and Node.js, and saved models, which some tests need beyond the compiler.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use crate::{conformance_files, node, python, python_package, skipped_tests};

/// The environment variables that name to the tests what is there. `None` where it is missing.
pub(crate) struct Provisions(Vec<(&'static str, Option<PathBuf>)>);

impl Provisions {
    /// Installs the packages and saves the models, as far as they have changed. Warns of packages
    /// that cannot be installed: tests that need them are skipped, and noted in the file `skipped`.
    ///
    /// # Errors
    ///
    /// If the Python package cannot be installed or saves a model wrongly.
    pub(crate) fn gather(skipped: &Path) -> Result<Self> {
        let mut variables = vec![(skipped_tests::VARIABLE, Some(skipped.to_owned()))];
        for (variable, environment) in python::environments() {
            let what = format!("the Python packages for {variable}");
            variables.push((variable, or_warn(&what, environment)));
        }
        let packages = or_warn("the Node.js packages of the tests", node::packages());
        variables.push((node::VARIABLE, packages));

        let mut provisions = Provisions(variables);
        let models = provisions.libraries().map(save_models).transpose()?;
        provisions.0.push((python_package::VARIABLE, models));
        for files in conformance_files::ALL {
            let folder = provisions.libraries().map(|python| files.write(python)).transpose()?;
            provisions.0.push((files.variable, folder));
        }
        Ok(provisions)
    }

    /// Returns the Python interpreter with the libraries that train models.
    pub(crate) fn libraries(&self) -> Option<&Path> {
        let found = self.0.iter().find(|(variable, _)| *variable == python::LIBRARIES_VARIABLE);
        found.and_then(|(_, python)| python.as_deref())
    }

    /// Gives the variables to a command, and no others of their names.
    pub(crate) fn give_to(&self, command: &mut Command) {
        for (variable, value) in &self.0 {
            match value {
                Some(value) => command.env(variable, value),
                None => command.env_remove(variable),
            };
        }
    }
}

fn save_models(python: &Path) -> Result<PathBuf> {
    python_package::install(python)?;
    python_package::save_models(python)
}

fn or_warn(what: &str, installed: Result<PathBuf>) -> Option<PathBuf> {
    installed.inspect_err(|error| eprintln!("warning: {what} cannot be installed: {error:#}")).ok()
}

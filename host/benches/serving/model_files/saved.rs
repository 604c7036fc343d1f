//! The trained models, saved as a user saves them.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::super::process::Server;
use super::super::throughput::wait_until_ready;

/// The models that `train.py` trains.
pub(super) const NAMES: [&str; 4] = ["gradient-boosting", "random-forest", "xgboost", "lightgbm"];

/// Those that answer with one number.
pub(super) const REGRESSORS: [&str; 2] = ["gradient-boosting", "xgboost"];

/// The variable with the interpreter that has the libraries and the package `wardian`.
const LIBRARIES: &str = "WARDIAN_PYTHON_LIBRARIES";

/// The folder with the models.
pub(super) struct SavedModels {
    folder: tempfile::TempDir,
}

/// The requests for one model, by number of rows.
pub(super) struct Tables(BTreeMap<usize, Table>);

/// A request with the library's answer.
pub(super) struct Table {
    /// The request's JSON.
    pub(super) request: Vec<u8>,
    /// The library's answer to the first row.
    pub(super) answer: f64,
}

impl SavedModels {
    /// Trains and saves the models, in about twenty seconds.
    pub(super) fn train() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        let mut train = python(LIBRARIES, "train.py")?;
        let status = train.arg(folder.path()).status().context("cannot start Python")?;
        ensure!(status.success(), "the models cannot be trained");
        Ok(SavedModels { folder })
    }

    /// The folder that `train.py` has filled.
    pub(super) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The command of a script that uses the libraries.
    pub(super) fn library_script(&self, script: &str) -> Result<Command> {
        python(LIBRARIES, script)
    }

    /// Starts Wardian with all models and waits until it is ready.
    pub(super) fn serve(&self, isolation: &str) -> Result<Server> {
        let models = self.repository(isolation)?;
        let state = self.folder().join("state").join(isolation);
        let server = Server::wardian(&models, &state)?;
        wait_until_ready(&server)?;
        Ok(server)
    }

    /// Returns the requests for a model.
    pub(super) fn requests(&self, model: &str) -> Result<Tables> {
        let text = fs::read(self.folder().join("cases").join(model).with_added_extension("json"))?;
        let cases: BTreeMap<usize, Value> = serde_json::from_slice(&text)?;
        let table = |(rows, case): (usize, Value)| {
            let request = serde_json::to_vec(&case["request"])?;
            let answer = case["answer"].as_f64().context("a case has no answer")?;
            Ok((rows, Table { request, answer }))
        };
        cases.into_iter().map(table).collect::<Result<_>>().map(Tables)
    }

    /// A repository with the models and that isolation.
    fn repository(&self, isolation: &str) -> Result<PathBuf> {
        let models = self.folder().join(isolation);
        for name in NAMES {
            let version = models.join(name).join("1");
            fs::create_dir_all(&version)?;
            let settings = format!("isolation = \"{isolation}\"\n");
            fs::write(models.join(name).join("model.toml"), settings)?;
            self.install(name, &version)?;
        }
        Ok(models)
    }

    /// Copies the files of a model into a version folder.
    fn install(&self, name: &str, version: &Path) -> Result<()> {
        for file in fs::read_dir(self.folder().join("models").join(name).join("1"))? {
            let file = file?;
            fs::copy(file.path(), version.join(file.file_name()))?;
        }
        Ok(())
    }

    /// Copies the files of a model, with a description that no other number has.
    pub(super) fn install_labelled(&self, name: &str, version: &Path, number: usize) -> Result<()> {
        self.install(name, version)?;
        let description = json!({ "description": number.to_string() });
        Ok(fs::write(version.join("metadata.json"), description.to_string())?)
    }
}

impl Tables {
    /// The request of that many rows.
    pub(super) fn of(&self, rows: usize) -> Result<&Table> {
        self.0.get(&rows).context("there is no request of that many rows")
    }
}

/// The command of a script in this folder, with the interpreter that a variable names.
pub(super) fn python(variable: &str, script: &str) -> Result<Command> {
    let interpreter = std::env::var_os(variable)
        .with_context(|| format!("{variable} is not set; run `cargo xtask bench`"))?;
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/serving/model_files");

    let mut command = Command::new(interpreter);
    command.arg(folder.join(script));
    Ok(command)
}

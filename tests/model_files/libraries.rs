//! Models of scikit-learn, XGBoost and LightGBM, served and asked with the Python package.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::clients::{python, run};
use crate::harness::{PYTHON, Server};

/// Cases of `guest-models/runtimes/conformance`: pipelines with columns of numbers and of words,
/// texts, and trees of every library, of frames and of arrays.
const MODELS: [&str; 16] = [
    "columns-logistic-regression",
    "columns-forest",
    "columns-ordinal",
    "columns-renamed",
    "columns-cars-boosting",
    "tfidf-logistic-regression",
    "logistic-regression",
    "xgboost-frame",
    "xgboost-categories",
    "xgboost-binary",
    "lightgbm-frame",
    "lightgbm-categories",
    "lightgbm-goss",
    "histogram-boosting",
    "histogram-boosting-categories",
    "histogram-boosting-binary",
];

#[test]
fn saved_models_answer_as_their_libraries() {
    let Some(python) = python(VARIABLE) else { return };
    let Some(saved) = saved_models() else { return };
    let server = Server::empty();
    let drop_into = |name: &str| {
        server.models().copy_folder(&saved.join(name).join("1"), &format!("{name}/1"));
    };

    // The runtime is compiled for the first, and the others share its code. Each serves once it has
    // answered its 500 golden rows.
    drop_into(MODELS[0]);
    server.until_ready(MODELS[0], 1);
    MODELS[1..].iter().for_each(|name| drop_into(name));
    MODELS.iter().for_each(|name| server.until_ready(name, 1));
    let mut script = Command::new(python);
    script.arg(folder().join("predictions.py")).arg(url(&server)).arg(cases()).args(MODELS);
    run(&mut script, MODELS.len());
}

#[test]
fn pushed_models_answer_frames_as_their_originals() {
    let Some(python) = python(VARIABLE) else { return };
    let server = Server::empty();
    run(Command::new(python).arg(folder().join("pushing.py")).arg(url(&server)), 3);
}

/// The program of the README, with a server in place of the one that a reader has started.
#[test]
fn the_program_of_the_readme_runs() {
    let Some(python) = python(VARIABLE) else { return };
    let readme = fs::read_to_string(root().join("README.md")).unwrap();
    let (_, after) = readme.split_once("```python\n").unwrap();
    let (program, _) = after.split_once("\n```\n").unwrap();

    let server = Server::empty();
    let output = Command::new(python)
        .args(["-c", program])
        .env("WARDIAN_URL", url(&server))
        .output()
        .expect("Python starts");
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{}\n{error}", output.status);
    server.until_ready("flats", 1);
}

/// The interpreter with the libraries and the package `wardian`.
const VARIABLE: &str = "WARDIAN_PYTHON_LIBRARIES";

/// Returns the folder of the saved models, or `None` after it has noted the test as skipped.
fn saved_models() -> Option<PathBuf> {
    let folder = std::env::var_os("WARDIAN_CONFORMANCE").map(PathBuf::from);
    if folder.is_none() {
        PYTHON.skip("WARDIAN_CONFORMANCE names no folder of saved models");
    }
    folder
}

fn url(server: &Server) -> String {
    format!("http://{}", server.address())
}

fn cases() -> PathBuf {
    root().join("guest-models/runtimes/conformance")
}

fn folder() -> PathBuf {
    root().join("tests/model_files")
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

//! Answers the golden requests of the folders below `$WARDIAN_CONFORMANCE`, which
//! `../conformance/generate.py` makes: 500 rows for each model, with its library's own answers.

use std::path::{Path, PathBuf};
use std::{env, fs};

use model_file::testing::{folders, skip};
use tabular::SavedMetadata;
use wardian_sdk::{Error, OrError, golden};

#[test]
fn files_are_answered_as_by_their_libraries() {
    let Some(root) = env::var_os("WARDIAN_CONFORMANCE") else {
        let reason = "WARDIAN_CONFORMANCE names no folder made by generate.py";
        return skip("tabular: files_are_answered_as_by_their_libraries", reason).unwrap();
    };
    let models = folders(Path::new(&root), |path| path.join("1").is_dir()).unwrap();
    assert!(!models.is_empty(), "{} has no models", root.display());

    let mut faults = 0;
    for model in &models {
        if let Err(error) = check(&model.join("1")) {
            faults += 1;
            println!("{}: {error:?}", model.file_name().unwrap_or_default().display());
        }
    }

    println!("{} models answered as by their libraries", models.len() - faults);
    assert!(faults == 0, "{faults} of {} models are not", models.len());
}

/// Reads the model of a version's folder and answers its golden requests.
fn check(version: &Path) -> Result<(), Error> {
    let model =
        tabular::open(&fs::read(model_file(version)?).or_failed("read")?, &saved(version)?)?;
    let golden = fs::read(version.join("golden.json")).or_failed("golden.json")?;

    golden::check_file(&golden, |request| model.predict(&request))
}

fn model_file(version: &Path) -> Result<PathBuf, Error> {
    let names = ["model.onnx", "model.json", "model.ubj", "model.txt", "model.trees.json"];
    let files = names.map(|name| version.join(name));
    files.into_iter().find(|file| file.is_file()).or_failed("there is no model file")
}

fn saved(version: &Path) -> Result<SavedMetadata, Error> {
    match fs::read(version.join("metadata.json")) {
        Ok(file) => serde_json::from_slice(&file).or_failed("metadata.json"),
        Err(_) => Ok(SavedMetadata::default()),
    }
}

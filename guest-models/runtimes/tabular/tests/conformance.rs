//! Answers the golden requests of the folders below `$WARDIAN_CONFORMANCE`, which
//! `../conformance/generate.py` makes: 500 rows for each model, with its library's own answers.

use std::path::{Path, PathBuf};
use std::{fs, io};

use tabular::SavedMetadata;
use wardian_sdk::{Error, OrError, golden};

#[test]
fn files_are_answered_as_by_their_libraries() {
    let Some(root) = std::env::var_os("WARDIAN_CONFORMANCE") else {
        eprintln!("SKIPPED: WARDIAN_CONFORMANCE names no folder made by generate.py");
        return;
    };
    let models = folders(Path::new(&root)).unwrap();
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

/// Returns the folders in a folder, by name.
fn folders(folder: &Path) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<_> = paths.filter(|path| path.join("1").is_dir()).collect();
    folders.sort();
    Ok(folders)
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

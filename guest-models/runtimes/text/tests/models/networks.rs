//! The networks below `$WARDIAN_TEXT_MODELS`, which `../../conformance/text_models.py` writes:
//! MiniLM, and small ones of every kind of tokenizer and use.

use std::path::{Path, PathBuf};
use std::{env, fs};

use model_file::SavedMetadata;
use model_file::testing::{folders, skip};
use serde_json::Value;
use text::{Folder, TextModel};
use wardian_sdk::{Error, OrError, golden};

use super::tiny::{numbers, request};

#[test]
fn networks_answer_as_by_their_libraries() {
    let Some(models) = models("text: networks_answer_as_by_their_libraries") else { return };
    let check = |model: &PathBuf| {
        let network = open(model)?;
        let golden = fs::read(model.join("golden.json")).or_failed("golden.json")?;
        golden::check_file(&golden, |request| network.answer(&request))
    };
    let faults: Vec<_> = models
        .iter()
        .filter_map(|model| Some(format!("{}: {:?}", model.display(), check(model).err()?)))
        .collect();

    println!("{} networks answer as by their libraries", models.len() - faults.len());
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[test]
fn answers_do_not_depend_on_neighbours() {
    let Some(models) = models("text: answers_do_not_depend_on_neighbours") else { return };
    for (name, output) in
        [("pieces", "embedding"), ("topics", "scores"), ("minilm-int8", "embedding")]
    {
        let model = models.iter().find(|model| model.parent().is_some_and(|m| m.ends_with(name)));
        let model = model.unwrap();
        let texts = texts(model);
        let texts: Vec<_> = texts.iter().map(String::as_str).collect();
        let network = open(model).unwrap();
        let together = numbers(&network.answer(&request(&texts)).unwrap(), output);
        let width = together.len() / texts.len();

        for (text, together) in texts.iter().zip(together.chunks(width)) {
            let alone = numbers(&network.answer(&request(&[text])).unwrap(), output);
            let differences = alone.iter().zip(together).map(|(one, other)| (one - other).abs());
            let largest = differences.fold(0.0, f32::max);
            assert!(largest < 1e-5, "{name}: {largest} for {text:?}");
        }
    }
}

/// The texts of the first golden request.
fn texts(model: &Path) -> Vec<String> {
    let golden: Value =
        serde_json::from_slice(&fs::read(model.join("golden.json")).unwrap()).unwrap();
    let data = golden["cases"][0]["request"]["inputs"][0]["data"].as_array().unwrap().clone();
    data.iter().map(|text| text.as_str().unwrap().to_owned()).collect()
}

/// Returns the folders of the models' versions; `None` after it has noted the test as skipped.
fn models(test: &str) -> Option<Vec<PathBuf>> {
    let Some(root) = env::var_os("WARDIAN_TEXT_MODELS") else {
        skip(test, "WARDIAN_TEXT_MODELS names no folder made by text_models.py").unwrap();
        return None;
    };
    let models = folders(Path::new(&root), |path| path.join("1").is_dir()).unwrap();
    assert!(!models.is_empty());
    Some(models.into_iter().map(|model| model.join("1")).collect())
}

fn open(model: &Path) -> Result<TextModel, Error> {
    let find = |name: &str| {
        // As the host offers it.
        let path = match name.strip_suffix("_config.json") {
            Some(module) if module.starts_with(|c: char| c.is_ascii_digit()) => {
                model.join(module).join("config.json")
            }
            _ => model.join(name),
        };
        Ok(fs::read(path).ok())
    };
    let network = fs::read(model.join("model.onnx")).or_failed("model.onnx")?;
    text::open(network, &Folder::new(&find), &SavedMetadata::default())
}

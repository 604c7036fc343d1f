//! Messages for the operator about files and folders that are ignored because of their place or
//! name.
//!
//! Each message is derived from the name alone. A name without a known meaning, such as
//! `README.md`, produces none.

use super::file_kind::{FileClass, FileKind, MODELS, by_name};
use super::layout::{
    COMPONENT, GOLDEN, LIVE_CONFIG, SAVED_METADATA, SETTINGS, model_file_name, printable,
};
use crate::model::{ModelName, Version};

/// Returns a message about an ignored file in the root, if it may have been meant as part of a
/// model.
pub(super) fn file_in_root(name: &str) -> Option<String> {
    let shown = printable(name);
    if name == GOLDEN {
        return Some(format!(
            "{shown} is ignored: golden requests lie beside their component, in NAME/1/{GOLDEN}"
        ));
    }

    if name == SETTINGS || name == LIVE_CONFIG {
        return Some(format!(
            "{shown} is ignored: the settings of a model lie in its folder, in NAME/{name}"
        ));
    }

    if let Some(stem) = name.strip_suffix(".toml") {
        let stem = super::layout::printable(stem);
        return Some(format!("'{shown}' is not read; settings go into {stem}/{SETTINGS}"));
    }

    (name == SAVED_METADATA).then(|| {
        format!("{shown} is ignored: it lies beside its model file, in NAME/1/{SAVED_METADATA}")
    })
}

/// Returns a message about a file in the root, or in the folder of interceptors, that is of this
/// kind.
pub(super) fn other_file_in_root(name: &str, kind: FileKind) -> String {
    format!("{} is ignored: it is {kind}; {}", printable(name), kind.remedy())
}

/// Returns a message about an ignored file in a model folder.
pub(super) fn file_in_model(model: &ModelName, name: &str) -> Option<String> {
    let shown = printable(name);
    if name.ends_with(".wasm") || name.ends_with(".cwasm") {
        return Some(format!(
            "{model}/{shown} is ignored: components lie in version folders; move it to {model}/1/{COMPONENT}"
        ));
    }

    if let Some(kind) = by_name(name) {
        return Some(kind_in_model(model, name, kind));
    }

    let beside =
        [".bin", ".json", ".dat", ".csv", ".weights"].iter().any(|ending| name.ends_with(ending));

    beside.then(|| {
        format!("{model}/{shown} is ignored: the files of a version lie in its folder; move it to {model}/1/{shown}")
    })
}

fn kind_in_model(model: &ModelName, name: &str, kind: FileKind) -> String {
    let shown = printable(name);
    match kind.class {
        FileClass::Model(_) => {
            let right = right_name(name);
            format!(
                "{model}/{shown} is ignored: model files lie in version folders; move it to {model}/1/{right}"
            )
        }
        _ => format!("{model}/{shown} is ignored: it is {kind}; {}", kind.remedy()),
    }
}

/// The name that a model file should have in a version's folder.
fn right_name(name: &str) -> String {
    let extension = name.rsplit_once('.').map_or("onnx", |(_, extension)| extension);
    match extension.to_ascii_lowercase().as_str() {
        "xgb" => model_file_name("ubj"),
        "lgb" => model_file_name("txt"),
        extension => model_file_name(extension),
    }
}

/// Returns a message about a folder in a model folder that is not a version.
pub(super) fn folder_in_model(model: &ModelName, name: &str) -> String {
    let shown = printable(name);
    match intended_version(name) {
        Some(version) => format!(
            "{model}/{shown}/ is ignored: version folders are named 1, 2, 3 and so on; rename it to {model}/{version}"
        ),
        None => format!(
            "{model}/{shown}/ is ignored: version folders are named 1, 2, 3 and so on, and models lie directly in the \
             repository, as NAME/1/{COMPONENT}"
        ),
    }
}

/// Returns a message about a file in a version folder that is read as a sidecar but looks like
/// settings.
pub(super) fn file_in_version(model: &ModelName, version: Version, name: &str) -> Option<String> {
    let settings = name == SETTINGS || name == LIVE_CONFIG;
    settings.then(|| {
        format!("{model}/{version}/{name} is read as a sidecar: the settings of a model lie in {model}/{name}")
    })
}

/// Returns a message about a model folder without versions.
pub(super) fn no_versions(model: &ModelName) -> String {
    match Version::parse(model.base_name()) {
        Some(version) => format!(
            "{model}/ is taken for a model called '{model}', which has no versions; version {version} of a model lies \
             in its folder, in NAME/{version}/{COMPONENT}"
        ),
        None => format!("{model}/ has no versions; put one into {model}/1/: {MODELS}"),
    }
}

/// Returns the fault of a version folder that contains these sidecars but no component and no model
/// file.
pub(super) fn no_model<'a>(sidecars: impl Iterator<Item = &'a str>) -> String {
    let missing = format!("no {COMPONENT} or model file in it yet");
    for name in sidecars {
        let shown = printable(name);
        if name.ends_with(".wasm") {
            return format!("{missing}; rename {shown} to {COMPONENT}");
        }
        let Some(kind) = by_name(name) else { continue };
        return match kind.class {
            FileClass::Model(_) => format!("{missing}; rename {shown} to {}", right_name(name)),
            _ => format!("{missing}; {shown} is {kind}; {}", kind.remedy()),
        };
    }

    missing
}

/// Returns the version that a name such as `v1`, `version-1`, `01` or `1.0` stands for.
fn intended_version(name: &str) -> Option<Version> {
    let name = name.to_ascii_lowercase();
    let number = name
        .trim_start_matches("version")
        .trim_start_matches('v')
        .trim_start_matches(['-', '_', '.', '0']);

    let number = number.strip_suffix(".0").unwrap_or(number);
    Version::parse(number)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelName {
        ModelName::new(name).unwrap()
    }

    #[test]
    fn messages_name_the_right_place_of_a_misplaced_file() {
        let a = model("a");
        let version = Version::new(1).unwrap();

        for (told, says) in [
            (file_in_root("metadata.json"), "in NAME/1/metadata.json"),
            (file_in_root("golden.json"), "in NAME/1/golden.json"),
            (file_in_root("model.toml"), "in NAME/model.toml"),
            (file_in_root("a.toml"), "settings go into a/model.toml"),
            (file_in_model(&a, "model.wasm"), "move it to a/1/model.wasm"),
            (file_in_model(&a, "upper.wasm"), "move it to a/1/model.wasm"),
            (file_in_model(&a, "golden.json"), "move it to a/1/golden.json"),
            (file_in_model(&a, "model.pt"), "a pickle runs code when it is opened"),
            (file_in_model(&a, "model.onnx"), "move it to a/1/model.onnx"),
            (file_in_model(&a, "rent.xgb"), "move it to a/1/model.ubj"),
            (file_in_model(&a, "model.h5"), "it is a Keras model; export it to ONNX"),
            (file_in_version(&a, version, "model.toml"), "lie in a/model.toml"),
            (Some(folder_in_model(&a, "v1")), "rename it to a/1"),
            (Some(folder_in_model(&a, "b")), "models lie directly in the repository"),
            (Some(no_versions(&a)), "put one into a/1/: a version holds a model file"),
            (Some(no_versions(&model("1"))), "taken for a model called '1'"),
            (Some(no_model(["upper.wasm"].into_iter())), "rename upper.wasm to model.wasm"),
            (Some(no_model(["x.bin", "rent.onnx"].into_iter())), "rename rent.onnx to model.onnx"),
            (
                Some(no_model(["model.joblib"].into_iter())),
                "model.joblib is a Python pickle; a pickle runs code when it is opened, so it is never opened here",
            ),
            (
                Some(no_model(["saved_model.pb"].into_iter())),
                "saved_model.pb is a TensorFlow model; export it to ONNX",
            ),
        ] {
            let told = told.unwrap_or_default();
            assert!(told.contains(says), "'{says}' is not in '{told}'");
        }
    }

    #[test]
    fn unrelated_files_produce_no_message() {
        for name in ["README.md", "LICENSE", "notes.txt"] {
            assert_eq!(
                (file_in_root(name), file_in_model(&model("a"), name)),
                (None, None),
                "{name}"
            );
        }

        assert_eq!(no_model(["x.bin"].into_iter()), "no model.wasm or model file in it yet");
    }

    #[test]
    fn other_spellings_of_a_version_are_recognised() {
        for name in ["v1", "V1", "01", "1.0", "version1", "version-1", "v_1", "v1.0"] {
            assert_eq!(intended_version(name).map(Version::number), Some(1), "{name}");
        }
        for name in ["b", "v", "latest", "1.2", "v1a", "-1x"] {
            assert_eq!(intended_version(name), None, "{name}");
        }
    }
}

//! Messages for the operator about files and folders that are ignored because of their place or
//! name.
//!
//! Each message is derived from the name alone. A name without a known meaning, such as
//! `README.md`, produces none.

use super::component_check::COMPONENTS;
use super::file_kind::by_name;
use super::layout::{COMPONENT, GOLDEN, LIVE_CONFIG, SETTINGS, printable};
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

    let kind = by_name(name)?;

    Some(format!("{shown} is ignored: it is {kind}; {COMPONENTS}"))
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
        return Some(format!("{model}/{shown} is ignored: it is {kind}; {COMPONENTS}"));
    }

    let beside =
        [".bin", ".json", ".dat", ".csv", ".weights"].iter().any(|ending| name.ends_with(ending));

    beside.then(|| {
        format!("{model}/{shown} is ignored: the files of a version lie in its folder; move it to {model}/1/{shown}")
    })
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
        None => format!("{model}/ has no versions; put a component at {model}/1/{COMPONENT}"),
    }
}

/// Returns the fault of a version folder that contains these sidecars but no component.
pub(super) fn no_component<'a>(sidecars: impl Iterator<Item = &'a str>) -> String {
    let missing = format!("no {COMPONENT} in it yet");
    for name in sidecars {
        let shown = printable(name);
        if name.ends_with(".wasm") {
            return format!("{missing}; rename {shown} to {COMPONENT}");
        }
        if let Some(kind) = by_name(name) {
            return format!("{missing}; {shown} is {kind}, and {COMPONENTS}");
        }
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
            (
                file_in_root("a.onnx"),
                "it is an ONNX model; this server takes models as WebAssembly components",
            ),
            (file_in_root("golden.json"), "in NAME/1/golden.json"),
            (file_in_root("model.toml"), "in NAME/model.toml"),
            (file_in_root("a.toml"), "settings go into a/model.toml"),
            (file_in_model(&a, "model.wasm"), "move it to a/1/model.wasm"),
            (file_in_model(&a, "upper.wasm"), "move it to a/1/model.wasm"),
            (file_in_model(&a, "golden.json"), "move it to a/1/golden.json"),
            (file_in_model(&a, "model.pt"), "it is a PyTorch model"),
            (file_in_version(&a, version, "model.toml"), "lie in a/model.toml"),
            (Some(folder_in_model(&a, "v1")), "rename it to a/1"),
            (Some(folder_in_model(&a, "b")), "models lie directly in the repository"),
            (Some(no_versions(&a)), "put a component at a/1/model.wasm"),
            (Some(no_versions(&model("1"))), "taken for a model called '1'"),
            (Some(no_component(["upper.wasm"].into_iter())), "rename upper.wasm to model.wasm"),
            (
                Some(no_component(["x.bin", "model.onnx"].into_iter())),
                "model.onnx is an ONNX model",
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

        assert_eq!(no_component(["x.bin"].into_iter()), "no model.wasm in it yet");
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

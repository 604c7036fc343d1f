//! The layout of a repository: names with a fixed meaning, and the form of names of model files.

use super::runtimes::{RuntimeCatalog, is_reserved_extension};
use crate::model::sanitize;

/// Names with a fixed meaning in a model's or a version's folder. Any other file of a version is a
/// sidecar.
pub(super) const COMPONENT: &str = "model.wasm";
pub(super) const COMPONENT_ENDING: &str = ".wasm";
pub(super) const GOLDEN: &str = "golden.json";
pub(super) const SETTINGS: &str = "model.toml";
pub(super) const LIVE_CONFIG: &str = "config.toml";
/// Knowledge about a model file besides its content. A sidecar, which the runtime reads.
pub(super) const SAVED_METADATA: &str = "metadata.json";

/// The name of a component or model file in a version's folder, without its extension.
const MODEL: &str = "model";

/// Returns the name of a model file in a version's folder.
pub(crate) fn model_file_name(extension: &str) -> String {
    format!("{MODEL}.{extension}")
}

/// Returns the extension of a file in a version's folder, in lower case, if its name is that of a
/// model file: `model.onnx`, or `model.EXT` with an extension of one of these runtimes.
pub(super) fn model_file_extension(name: &str, runtimes: &RuntimeCatalog) -> Option<String> {
    let (stem, extension) = split_extension(name, runtimes)?;
    (stem == MODEL).then_some(extension)
}

/// Splits the name of a model file before the longest extension that a runtime is for. The
/// extension is in lower case.
pub(crate) fn split_extension<'a>(
    name: &'a str,
    runtimes: &RuntimeCatalog,
) -> Option<(&'a str, String)> {
    name.match_indices('.').find_map(|(dot, _)| {
        let (stem, extension) = (name.get(..dot)?, name.get(dot + 1..)?.to_ascii_lowercase());
        let is_known =
            !is_reserved_extension(&extension) && runtimes.for_extension(&extension).is_some();
        (is_known && !stem.is_empty()).then_some((stem, extension))
    })
}

/// Folder of the components that wrap calls to the tenant's models.
pub(super) const INTERCEPTORS: &str = "interceptors";

/// Returns true for names that programs use for unfinished or private files: `.x`, `x~`, `#x#`,
/// `x.tmp`, `x.part`, `x.swp` and similar.
pub(crate) fn is_temporary(name: &str) -> bool {
    let unfinished = ["~", "#", ".tmp", ".part", ".partial", ".swp", ".crdownload"];
    name.starts_with('.') || unfinished.iter().any(|ending| name.ends_with(ending))
}

/// Returns the reason why a file or folder with a reserved name is not a model.
pub(crate) fn reserved_name_message(name: &str) -> String {
    format!("{}: this name is reserved and cannot be a model's; rename it", printable(name))
}

/// Returns true if the name is short and printable, as required of a sidecar.
pub(super) fn is_printable_name(name: &str) -> bool {
    name.len() <= 128 && !name.chars().any(char::is_control)
}

/// Returns a name in printable form, for a log line or message.
pub(super) fn printable(name: &str) -> String {
    sanitize(name, 128)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unfinished_and_hidden_names_are_ignored() {
        for name in [
            ".iris.wasm",
            "..data",
            "iris.wasm.tmp",
            "iris.wasm.part",
            "iris.wasm~",
            "x.swp",
            "#iris.wasm#",
        ] {
            assert!(is_temporary(name), "{name}");
        }

        for name in ["iris.wasm", "tmp", "1", "a.temporary", "part.json"] {
            assert!(!is_temporary(name), "{name}");
        }
    }

    #[test]
    fn model_files_of_a_version_are_called_model() {
        let extension = |name: &str| model_file_extension(name, RuntimeCatalog::embedded());
        assert_eq!(extension("model.onnx").as_deref(), Some("onnx"));
        assert_eq!(extension("model.JSON").as_deref(), Some("json"));
        assert_eq!(extension("model.trees.json").as_deref(), Some("trees.json"));

        for other in [
            "model.toml",
            "model.wasm",
            "golden.json",
            "metadata.json",
            "model.bin",
            "model.pkl",
            "model",
            "x.onnx",
        ] {
            assert_eq!(extension(other), None, "{other}");
        }
    }
}

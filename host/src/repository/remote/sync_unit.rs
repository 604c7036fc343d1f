//! Units of mirroring: object names, parsed by the same layout rules as file names.

use std::collections::BTreeMap;

use crate::model::{ModelName, Version};
use crate::repository::entry_meaning::{EntryMeaning, Namespace, classify_file, classify_folder};
use crate::repository::layout::{
    COMPONENT, INTERCEPTORS, LIVE_CONFIG, SETTINGS, is_printable_name, is_temporary,
};
use crate::repository::runtimes::{RuntimeCatalog, is_reserved_extension};

/// Files that are mirrored or removed together. A model's settings sort before its versions.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum SyncUnit {
    /// A file in a model's folder that applies to all of its versions.
    Settings(ModelName, String),
    /// A component or model file without a folder, with its extension.
    Bare(ModelName, String),
    /// A version's folder.
    Version(ModelName, Version),
}

/// Files by unit and name, as listed by a store or mirrored.
pub(super) type Files<T> = BTreeMap<SyncUnit, BTreeMap<String, T>>;

impl SyncUnit {
    /// Parses the path of an object. Returns its unit and its name within the unit; `None` if it is
    /// not part of the repository. Paths are split here and rebuilt from checked names, so none
    /// leads out of the repository.
    pub(super) fn of(path: &str) -> Option<(SyncUnit, String)> {
        let names: Vec<_> = path.split('/').collect();
        if names.iter().any(|name| is_temporary(name) || !is_printable_name(name)) {
            return None;
        }

        let (shelf, names) = match &names[..] {
            [first, names @ ..] if *first == INTERCEPTORS => (Namespace::Interceptors, names),
            names => (Namespace::Models, names),
        };

        match *names {
            [file] => bare(shelf, file),
            [model, file] if is_shared_file(file) => {
                Some((SyncUnit::Settings(folder(shelf, model)?, file.into()), file.into()))
            }
            [model, version, file] if !file.is_empty() => Some((
                SyncUnit::Version(folder(shelf, model)?, Version::parse(version)?),
                file.into(),
            )),
            _ => None,
        }
    }

    /// The model that the unit belongs to.
    pub(super) fn model(&self) -> &ModelName {
        match self {
            SyncUnit::Settings(model, _)
            | SyncUnit::Bare(model, _)
            | SyncUnit::Version(model, _) => model,
        }
    }

    /// Path of the unit in the repository: a file, or a version's folder.
    pub(super) fn path(&self) -> String {
        match self {
            SyncUnit::Settings(model, file) => format!("{model}/{file}"),
            SyncUnit::Bare(model, extension) => format!("{model}.{extension}"),
            SyncUnit::Version(model, version) => format!("{model}/{version}"),
        }
    }

    /// Path of one of its files in the repository.
    pub(super) fn file(&self, name: &str) -> String {
        match self {
            SyncUnit::Version(..) => format!("{}/{name}", self.path()),
            SyncUnit::Settings(..) | SyncUnit::Bare(..) => self.path(),
        }
    }

    /// Returns true for a version, false for settings.
    pub(super) fn is_version(&self) -> bool {
        !matches!(self, SyncUnit::Settings(..))
    }

    /// Returns true if the unit's required files are present.
    pub(super) fn is_complete<T>(&self, files: &BTreeMap<String, T>) -> bool {
        let has_model = || files.keys().any(|name| is_model(name));
        !matches!(self, SyncUnit::Version(..)) || has_model()
    }
}

/// Returns true if a file in a model's folder applies to all of its versions.
fn is_shared_file(file: &str) -> bool {
    file == SETTINGS || file == LIVE_CONFIG
}

/// Returns true if a file of this name can be the model of a version. Not only embedded runtimes
/// count, since an operator's runtimes come and go.
pub(super) fn is_model(file: &str) -> bool {
    let extension = file.strip_prefix(MODEL_STEM).and_then(|rest| rest.strip_prefix('.'));
    file == COMPONENT
        || extension.is_some_and(|extension| {
            !is_reserved_extension(extension) && extension != WEIGHTS_EXTENSION
        })
}

const MODEL_STEM: &str = "model";

/// `model.bin` lies beside a component and holds its weights.
const WEIGHTS_EXTENSION: &str = "bin";

/// Returns the unit of a file in the root. A file in JSON or text belongs into a version's folder:
/// whether it is a model is not known before it is fetched.
fn bare(shelf: Namespace, file: &str) -> Option<(SyncUnit, String)> {
    let model = match classify_file(shelf, file, RuntimeCatalog::embedded()) {
        // A reserved name is refused when the mirror is scanned, and reported in the index.
        EntryMeaning::Bare(model)
        | EntryMeaning::BareModelFile(model, _)
        | EntryMeaning::Reserved(model) => model,
        _ => return None,
    };

    let extension = file.strip_prefix(model.base_name())?.strip_prefix('.')?;
    let is_mirrored = extension == COMPONENT_EXTENSION
        || RuntimeCatalog::embedded().for_extension(&extension.to_ascii_lowercase()).is_some();
    let unit = || (SyncUnit::Bare(model.clone(), extension.into()), file.into());
    is_mirrored.then(unit)
}

pub(super) const COMPONENT_EXTENSION: &str = "wasm";

fn folder(shelf: Namespace, name: &str) -> Option<ModelName> {
    match classify_folder(shelf, name) {
        EntryMeaning::Model(model) | EntryMeaning::Reserved(model) => Some(model),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn of(path: &str) -> Option<String> {
        SyncUnit::of(path).map(|(unit, name)| format!("{} {name}", unit.path()))
    }

    #[test]
    fn object_names_follow_the_layout_of_files() {
        for (path, expected) in [
            ("iris.wasm", "iris.wasm iris.wasm"),
            ("iris/model.toml", "iris/model.toml model.toml"),
            ("iris/config.toml", "iris/config.toml config.toml"),
            ("iris/2/model.wasm", "iris/2 model.wasm"),
            ("iris/2/weights.bin", "iris/2 weights.bin"),
            ("stats.wasm", "stats.wasm stats.wasm"),
            ("rent.onnx", "rent.onnx rent.onnx"),
            ("rent.trees.json", "rent.trees.json rent.trees.json"),
            ("rent/3/model.json", "rent/3 model.json"),
            ("Interceptors/1/model.wasm", "Interceptors/1 model.wasm"),
            ("interceptors/audit.wasm", "interceptors/audit.wasm audit.wasm"),
            ("interceptors/audit/1/model.wasm", "interceptors/audit/1 model.wasm"),
            ("interceptors/audit/model.toml", "interceptors/audit/model.toml model.toml"),
        ] {
            assert_eq!(of(path).as_deref(), Some(expected), "{path}");
        }
    }

    #[test]
    fn other_objects_are_ignored() {
        for path in [
            "",
            "/",
            "README.md",
            "iris",
            "iris/2",
            "iris/2/",
            "iris/two/model.wasm",
            "iris/2/deep/model.wasm",
            "iris/notes.txt",
            "../iris.wasm",
            "iris/../model.wasm",
            "iris/2/..",
            "iris/2/.hidden",
            "/iris.wasm",
            "iris//model.wasm",
            "iris/2/a\nb",
            "interceptors/1/model.wasm",
            "iris/2/x.part",
            "iris.cwasm",
            "stats.cwasm",
            "iris/02/model.wasm",
            "rent.json",
            "rent.pkl",
            "interceptors/audit.onnx",
            "iris/0/model.wasm",
        ] {
            assert_eq!(of(path), None, "{path:?}");
        }
    }

    #[test]
    fn a_version_is_complete_with_its_component_or_model_file() {
        let is_complete = |names: &[&str]| {
            let files = names.iter().map(|name| (name.to_string(), ())).collect();
            SyncUnit::of("a/1/model.wasm").unwrap().0.is_complete::<()>(&files)
        };

        for complete in ["model.wasm", "model.onnx", "model.trees.json", "model.toy"] {
            assert!(is_complete(&["x.bin", complete]), "{complete}");
        }
        assert!(!is_complete(&[
            "golden.json",
            "model.bin",
            "model.toml",
            "metadata.json",
            "model"
        ]));
    }

    proptest! {
        #[test]
        fn no_path_leads_out_of_the_repository(path in "[a-z./0-9\\\\~#:%]{0,24}|.{0,24}") {
            if let Some((unit, name)) = SyncUnit::of(&path) {
                prop_assert_eq!(unit.file(&name), path.clone());
                let plain = |part| matches!(part, std::path::Component::Normal(_));
                prop_assert!(std::path::Path::new(&path).components().all(plain));
            }
        }
    }
}

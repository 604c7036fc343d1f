//! Meaning of file and folder names in a repository, derived from the name alone.

use super::file_kind::{FileKind, by_name};
use super::misplaced;
use super::runtimes::{RuntimeCatalog, is_reserved_extension};
use crate::model::{InvalidName, ModelName, sanitize};

/// A folder that contains models. Names of models in each differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Namespace {
    /// The root.
    Models,
    /// The `interceptors` folder in the root.
    Interceptors,
}

impl Namespace {
    fn name(self, name: &str) -> Result<ModelName, InvalidName> {
        match self {
            Namespace::Models => ModelName::new(name),
            Namespace::Interceptors => ModelName::interceptor(name),
        }
    }
}

/// The meaning of an entry in such a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum EntryMeaning {
    /// `iris.wasm`: the only version of model `iris`.
    Bare(ModelName),
    /// `iris.onnx`: the only version of model `iris`, with its extension in lower case.
    BareModelFile(ModelName, String),
    /// `iris.json`: the same if its content is a model.
    PossibleModelFile(ModelName, String),
    /// `iris.pkl`: a model that cannot be served, refused as model `iris`.
    RefusedModel(ModelName, FileKind),
    /// `iris.cwasm`: native code, refused as model `iris`.
    Precompiled(ModelName),
    /// `iris/`: a model with numbered versions.
    Model(ModelName),
    /// A file or folder whose name is reserved and cannot be a model's.
    Reserved(ModelName),
    /// `interceptors/`, in the root.
    Interceptors,
    /// Not part of a model.
    Ignored,
    /// Probably meant as part of a model; the reason why it is not, for the operator.
    Misplaced(String),
}

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

/// Extensions that many files have which are no models.
const AMBIGUOUS_EXTENSIONS: [&str; 2] = ["json", "txt"];

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

/// A folder at the root of every ext4 volume.
const LOST_AND_FOUND: &str = "lost+found";

/// Returns true for names that programs use for unfinished or private files: `.x`, `x~`, `#x#`,
/// `x.tmp`, `x.part`, `x.swp` and similar.
pub(crate) fn is_temporary(name: &str) -> bool {
    let unfinished = ["~", "#", ".tmp", ".part", ".partial", ".swp", ".crdownload"];
    name.starts_with('.') || unfinished.iter().any(|ending| name.ends_with(ending))
}

/// Returns the meaning of a file or link, where these runtimes serve model files.
pub(super) fn classify_file(
    namespace: Namespace,
    name: &str,
    runtimes: &RuntimeCatalog,
) -> EntryMeaning {
    if let Some(stem) = name.strip_suffix(COMPONENT_ENDING) {
        return classify_name(namespace, name, stem, EntryMeaning::Bare);
    }

    if let Some(stem) = name.strip_suffix(".cwasm") {
        return classify_name(namespace, name, stem, EntryMeaning::Precompiled);
    }

    if let Some(note) = misplaced::file_in_root(name) {
        return EntryMeaning::Misplaced(note);
    }

    match (namespace, split_extension(name, runtimes), by_name(name)) {
        (Namespace::Models, Some((stem, extension)), _) => {
            let is_ambiguous = AMBIGUOUS_EXTENSIONS.contains(&extension.as_str());
            classify_model_file(name, stem, extension, is_ambiguous)
        }
        (Namespace::Models, None, Some(kind)) if kind.is_refused_model() => {
            let stem = name.rsplit_once('.').map_or(name, |(stem, _)| stem);
            classify_name(namespace, name, stem, |model| EntryMeaning::RefusedModel(model, kind))
        }
        (_, _, Some(kind)) => EntryMeaning::Misplaced(misplaced::other_file_in_root(name, kind)),
        (Namespace::Interceptors, Some(_), None) | (_, None, None) => EntryMeaning::Ignored,
    }
}

fn classify_model_file(
    name: &str,
    stem: &str,
    extension: String,
    is_ambiguous: bool,
) -> EntryMeaning {
    // A text with a name that no model may have is not worth a message.
    if is_ambiguous && ModelName::new(stem).is_err() {
        return EntryMeaning::Ignored;
    }

    classify_name(Namespace::Models, name, stem, |model| match is_ambiguous {
        true => EntryMeaning::PossibleModelFile(model, extension.clone()),
        false => EntryMeaning::BareModelFile(model, extension.clone()),
    })
}

/// Returns the meaning of a folder.
pub(super) fn classify_folder(namespace: Namespace, name: &str) -> EntryMeaning {
    match (namespace, name) {
        (Namespace::Models, INTERCEPTORS) => EntryMeaning::Interceptors,
        (Namespace::Models, LOST_AND_FOUND) => EntryMeaning::Ignored,
        _ => classify_name(namespace, name, name, EntryMeaning::Model),
    }
}

/// Returns true if a folder of this name is read as a model and cannot be mistaken for a file.
pub(super) fn is_model_folder(name: &str) -> bool {
    let file = matches!(
        classify_file(Namespace::Models, name, RuntimeCatalog::embedded()),
        EntryMeaning::Bare(_) | EntryMeaning::BareModelFile(..) | EntryMeaning::Precompiled(_)
    ) || name.ends_with(".toml");

    !is_temporary(name)
        && !file
        && matches!(classify_folder(Namespace::Models, name), EntryMeaning::Model(_))
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

fn classify_name(
    namespace: Namespace,
    name: &str,
    model: &str,
    kind: impl Fn(ModelName) -> EntryMeaning,
) -> EntryMeaning {
    match namespace.name(model) {
        Ok(model) if model.is_reserved() => EntryMeaning::Reserved(model),
        Ok(model) => kind(model),
        Err(error) => EntryMeaning::Misplaced(format!("'{}' is ignored: {error}", printable(name))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn model(name: &str) -> ModelName {
        ModelName::new(name).unwrap()
    }

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

    fn classify_root_file(name: &str) -> EntryMeaning {
        classify_file(Namespace::Models, name, RuntimeCatalog::embedded())
    }

    fn classify_root_folder(name: &str) -> EntryMeaning {
        classify_folder(Namespace::Models, name)
    }

    #[test]
    fn entries_of_the_interceptors_folder_are_interceptors() {
        let audit = || ModelName::interceptor("audit").unwrap();
        assert_eq!(
            classify_file(Namespace::Interceptors, "audit.wasm", RuntimeCatalog::embedded()),
            EntryMeaning::Bare(audit())
        );

        assert_eq!(classify_folder(Namespace::Interceptors, "audit"), EntryMeaning::Model(audit()));
        let stats = ModelName::interceptor("stats").unwrap();
        let file = |name| classify_file(Namespace::Interceptors, name, RuntimeCatalog::embedded());
        assert_eq!(file("stats.wasm"), EntryMeaning::Bare(stats));
        assert!(matches!(file("audit.onnx"), EntryMeaning::Misplaced(_)));
        assert_eq!(file("notes.json"), EntryMeaning::Ignored);
        let again = ModelName::interceptor("interceptors").unwrap();

        assert_eq!(
            classify_folder(Namespace::Interceptors, "interceptors"),
            EntryMeaning::Model(again)
        );
    }

    #[test]
    fn entries_of_the_root_are_classified_by_name() {
        assert_eq!(classify_root_file("iris.wasm"), EntryMeaning::Bare(model("iris")));
        assert_eq!(classify_root_file("iris.v2.wasm"), EntryMeaning::Bare(model("iris.v2")));
        assert_eq!(classify_root_file("iris.cwasm"), EntryMeaning::Precompiled(model("iris")));
        assert_eq!(classify_root_file("README.md"), EntryMeaning::Ignored);
        assert_eq!(classify_root_folder("house-price"), EntryMeaning::Model(model("house-price")));
        assert_eq!(classify_root_folder("interceptors"), EntryMeaning::Interceptors);
        assert_eq!(classify_root_folder("lost+found"), EntryMeaning::Ignored);
        assert_eq!(
            classify_root_folder("Interceptors"),
            EntryMeaning::Reserved(model("Interceptors"))
        );

        assert_eq!(classify_root_folder("stats"), EntryMeaning::Reserved(model("stats")));
        assert_eq!(classify_root_file("stats.wasm"), EntryMeaning::Reserved(model("stats")));
        assert!(matches!(classify_root_file("my model.wasm"), EntryMeaning::Misplaced(_)));
        assert!(matches!(classify_root_file("iris.toml"), EntryMeaning::Misplaced(_)));

        assert!(matches!(classify_root_folder("my models"), EntryMeaning::Misplaced(_)));
    }

    #[test]
    fn model_files_of_the_root_are_models_by_their_extension() {
        let json = |name| EntryMeaning::PossibleModelFile(model(name), "json".into());
        for (name, expected) in [
            ("rent.onnx", EntryMeaning::BareModelFile(model("rent"), "onnx".into())),
            ("rent.v2.ONNX", EntryMeaning::BareModelFile(model("rent.v2"), "onnx".into())),
            ("a.trees.json", EntryMeaning::BareModelFile(model("a"), "trees.json".into())),
            ("rent.json", json("rent")),
            ("my notes.txt", EntryMeaning::Ignored),
            (".json", EntryMeaning::Ignored),
            ("stats.onnx", EntryMeaning::Reserved(model("stats"))),
        ] {
            assert_eq!(classify_root_file(name), expected, "{name}");
        }

        assert!(matches!(classify_root_file("my model.onnx"), EntryMeaning::Misplaced(_)));
        for name in ["rent.pkl", "rent.pt", "rent.joblib", "rent.h5", "rent.safetensors"] {
            let EntryMeaning::RefusedModel(named, kind) = classify_root_file(name) else {
                panic!("{name}")
            };
            assert!(named == model("rent") && kind.remedy().contains("wardian.save("));
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

    #[test]
    fn messages_about_names_contain_no_control_characters() {
        for name in ["a\nb.toml", "a\nb.wasm", "a\u{1b}[2J.cwasm"] {
            let EntryMeaning::Misplaced(why) = classify_root_file(name) else { panic!("{name:?}") };
            assert!(!why.contains(char::is_control), "{why:?}");
        }
    }
}

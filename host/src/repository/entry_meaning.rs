//! The meaning of a file or folder in a repository's root, or in its folder of interceptors,
//! derived from the name alone.

use super::file_kind::{FileKind, by_name};
use super::layout::{COMPONENT_ENDING, INTERCEPTORS, is_temporary, printable, split_extension};
use super::misplaced;
use super::runtimes::RuntimeCatalog;
use crate::model::{InvalidName, ModelName};

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

/// Extensions that many files have which are no models.
const AMBIGUOUS_EXTENSIONS: [&str; 2] = ["json", "txt"];

/// A folder at the root of every ext4 volume.
const LOST_AND_FOUND: &str = "lost+found";

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
    fn messages_about_names_contain_no_control_characters() {
        for name in ["a\nb.toml", "a\nb.wasm", "a\u{1b}[2J.cwasm"] {
            let EntryMeaning::Misplaced(why) = classify_root_file(name) else { panic!("{name:?}") };
            assert!(!why.contains(char::is_control), "{why:?}");
        }
    }
}

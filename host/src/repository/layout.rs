//! Meaning of file and folder names in a repository, derived from the name alone.

use super::misplaced;
use crate::model::{InvalidName, ModelName, sanitize};

/// A folder that contains models. Names of models in each differ.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shelf {
    /// The root.
    Models,
    /// The `interceptors` folder in the root.
    Interceptors,
}

impl Shelf {
    fn name(self, name: &str) -> Result<ModelName, InvalidName> {
        match self {
            Shelf::Models => ModelName::new(name),
            Shelf::Interceptors => ModelName::interceptor(name),
        }
    }
}

/// The meaning of an entry in such a folder.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum InRoot {
    /// `iris.wasm`: the only version of model `iris`.
    Bare(ModelName),
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
    Odd(String),
}

/// Names with a fixed meaning in a model's or a version's folder. Any other file of a version is a
/// sidecar.
pub(super) const COMPONENT: &str = "model.wasm";
pub(super) const GOLDEN: &str = "golden.json";
pub(super) const SETTINGS: &str = "model.toml";
pub(super) const LIVE: &str = "config.toml";

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

/// Returns the meaning of a file or link.
pub(super) fn file_on(shelf: Shelf, name: &str) -> InRoot {
    if let Some(stem) = name.strip_suffix(".wasm") {
        return named(shelf, name, stem, InRoot::Bare);
    }
    if let Some(stem) = name.strip_suffix(".cwasm") {
        return named(shelf, name, stem, InRoot::Precompiled);
    }
    misplaced::file_in_root(name).map_or(InRoot::Ignored, InRoot::Odd)
}

/// Returns the meaning of a folder.
pub(super) fn folder_on(shelf: Shelf, name: &str) -> InRoot {
    match (shelf, name) {
        (Shelf::Models, INTERCEPTORS) => InRoot::Interceptors,
        (Shelf::Models, LOST_AND_FOUND) => InRoot::Ignored,
        _ => named(shelf, name, name, InRoot::Model),
    }
}

/// Returns true if a folder of this name is read as a model and cannot be mistaken for a file.
pub(super) fn is_model_folder(name: &str) -> bool {
    let file = matches!(file_on(Shelf::Models, name), InRoot::Bare(_) | InRoot::Precompiled(_))
        || name.ends_with(".toml");
    !is_temporary(name) && !file && matches!(folder_on(Shelf::Models, name), InRoot::Model(_))
}

/// Returns the reason why a file or folder with a reserved name is not a model.
pub(crate) fn reserved(name: &str) -> String {
    format!(
        "{}: no model can have this name, which means something else to the server; rename it",
        shown(name)
    )
}

/// Returns true if the name is short and printable, as required of a sidecar.
pub(super) fn is_plain(name: &str) -> bool {
    name.len() <= 128 && !name.chars().any(char::is_control)
}

/// Returns a name in printable form, for a log line or message.
pub(super) fn shown(name: &str) -> String {
    sanitize(name, 128)
}

fn named(shelf: Shelf, name: &str, model: &str, kind: impl Fn(ModelName) -> InRoot) -> InRoot {
    match shelf.name(model) {
        Ok(model) if model.is_reserved() => InRoot::Reserved(model),
        Ok(model) => kind(model),
        Err(error) => InRoot::Odd(format!("'{}' is ignored: {error}", shown(name))),
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

    fn file_in_root(name: &str) -> InRoot {
        file_on(Shelf::Models, name)
    }

    fn folder_in_root(name: &str) -> InRoot {
        folder_on(Shelf::Models, name)
    }

    #[test]
    fn what_lies_among_the_interceptors_has_their_names() {
        let audit = || ModelName::interceptor("audit").unwrap();
        assert_eq!(file_on(Shelf::Interceptors, "audit.wasm"), InRoot::Bare(audit()));
        assert_eq!(folder_on(Shelf::Interceptors, "audit"), InRoot::Model(audit()));
        let stats = ModelName::interceptor("stats").unwrap();
        assert_eq!(file_on(Shelf::Interceptors, "stats.wasm"), InRoot::Bare(stats));
        let again = ModelName::interceptor("interceptors").unwrap();
        assert_eq!(folder_on(Shelf::Interceptors, "interceptors"), InRoot::Model(again));
    }

    #[test]
    fn names_tell_what_an_entry_of_the_root_is() {
        assert_eq!(file_in_root("iris.wasm"), InRoot::Bare(model("iris")));
        assert_eq!(file_in_root("iris.v2.wasm"), InRoot::Bare(model("iris.v2")));
        assert_eq!(file_in_root("iris.cwasm"), InRoot::Precompiled(model("iris")));
        assert_eq!(file_in_root("README.md"), InRoot::Ignored);
        assert_eq!(folder_in_root("house-price"), InRoot::Model(model("house-price")));
        assert_eq!(folder_in_root("interceptors"), InRoot::Interceptors);
        assert_eq!(folder_in_root("lost+found"), InRoot::Ignored);
        assert_eq!(folder_in_root("Interceptors"), InRoot::Reserved(model("Interceptors")));
        assert_eq!(folder_in_root("stats"), InRoot::Reserved(model("stats")));
        assert_eq!(file_in_root("stats.wasm"), InRoot::Reserved(model("stats")));
        assert!(matches!(file_in_root("my model.wasm"), InRoot::Odd(_)));
        assert!(matches!(file_in_root("iris.toml"), InRoot::Odd(_)));
        assert!(matches!(folder_in_root("my models"), InRoot::Odd(_)));
    }

    #[test]
    fn what_is_told_of_a_name_holds_no_control_characters() {
        for name in ["a\nb.toml", "a\nb.wasm", "a\u{1b}[2J.cwasm"] {
            let InRoot::Odd(why) = file_in_root(name) else { panic!("{name:?}") };
            assert!(!why.contains(char::is_control), "{why:?}");
        }
    }
}

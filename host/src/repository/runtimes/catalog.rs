//! The runtimes that there are, and which of them serves a model file.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::{Arc, LazyLock};

use bytes::Bytes;

use super::Declaration;
use crate::model::Digest;
use crate::repository::file_kind::formats;

/// The components of `guest-models/runtimes/`, as the build script built them.
const EMBEDDED: &[&[u8]] = include!(concat!(env!("OUT_DIR"), "/runtimes.rs"));

/// The catalog of the embedded runtimes.
static EMBEDDED_CATALOG: LazyLock<Arc<RuntimeCatalog>> = LazyLock::new(|| {
    let embedded = EMBEDDED.iter().map(|component| Bytes::from_static(component));
    // A test reads every embedded declaration.
    let runtimes = embedded.filter_map(|component| Runtime::new(component, Origin::Embedded).ok());
    Arc::new(RuntimeCatalog::of(runtimes.map(Arc::new)))
});

/// A component that serves model files.
pub struct Runtime {
    declaration: Declaration,
    digest: Digest,
    component: Bytes,
    origin: Origin,
}

/// The place that a runtime comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::repository) enum Origin {
    /// The operator's folder.
    Folder,
    /// The program.
    Embedded,
}

impl Runtime {
    /// Reads the declaration of a component. Fails with the reason if it is not a runtime.
    pub(in crate::repository) fn new(component: Bytes, origin: Origin) -> Result<Self, String> {
        let declaration = Declaration::read(&component)?;
        Ok(Runtime { declaration, digest: Digest::sha256(&component), component, origin })
    }

    /// Name of the runtime.
    pub fn name(&self) -> &str {
        &self.declaration.name
    }

    /// SHA-256 of the component.
    pub fn digest(&self) -> Digest {
        self.digest
    }

    /// Content of the component.
    pub fn component(&self) -> &Bytes {
        &self.component
    }

    /// True if it is a part of the program, and false if it lies in the operator's folder.
    pub fn is_embedded(&self) -> bool {
        self.origin == Origin::Embedded
    }

    /// The model files that it is for.
    pub fn declaration(&self) -> &Declaration {
        &self.declaration
    }
}

/// Runtimes are equal if they have the same name and content.
impl PartialEq for Runtime {
    fn eq(&self, other: &Self) -> bool {
        (self.name(), self.digest, self.origin) == (other.name(), other.digest, other.origin)
    }
}

impl Eq for Runtime {}

impl fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} {} ({:?})", self.name(), self.digest, self.origin)
    }
}

/// The runtimes at one moment.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct RuntimeCatalog {
    /// In order of precedence: those of the operator first, then by name.
    runtimes: Vec<Arc<Runtime>>,
}

impl RuntimeCatalog {
    /// A catalog of these. Of several with one name, that of the operator counts.
    pub(in crate::repository) fn of(runtimes: impl IntoIterator<Item = Arc<Runtime>>) -> Self {
        let mut by_name: BTreeMap<String, Arc<Runtime>> = BTreeMap::new();
        for runtime in runtimes {
            let name = runtime.name().to_owned();
            if by_name.get(&name).is_none_or(|known| runtime.origin < known.origin) {
                by_name.insert(name, runtime);
            }
        }

        let mut runtimes: Vec<_> = by_name.into_values().collect();
        runtimes.sort_by_key(|runtime| runtime.origin);
        RuntimeCatalog { runtimes }
    }

    /// The embedded runtimes.
    pub fn embedded() -> &'static Arc<RuntimeCatalog> {
        &EMBEDDED_CATALOG
    }

    /// All runtimes, in order of precedence.
    pub fn all(&self) -> &[Arc<Runtime>] {
        &self.runtimes
    }

    /// The runtime for files of a format. One for `onnx` serves `onnx-ml` too, if none is for that.
    pub fn for_format(&self, format: &str) -> Option<&Arc<Runtime>> {
        let find = |format| self.find(|declaration| &declaration.formats, format);
        find(format).or_else(|| find((format == formats::ONNX_ML).then_some(formats::ONNX)?))
    }

    /// The runtime for files whose content has no known format, by their extension in lower case.
    pub fn for_extension(&self, extension: &str) -> Option<&Arc<Runtime>> {
        self.find(|declaration| &declaration.extensions, extension)
    }

    fn find(&self, words: fn(&Declaration) -> &Vec<String>, word: &str) -> Option<&Arc<Runtime>> {
        let has =
            |runtime: &&Arc<Runtime>| words(&runtime.declaration).iter().any(|one| one == word);
        self.runtimes.iter().find(has)
    }
}

/// A runtime with this declaration; `salt` makes its content differ.
#[cfg(test)]
pub(in crate::repository) fn test_runtime(
    name: &str,
    formats: &[&str],
    extensions: &[&str],
    origin: Origin,
    salt: u8,
) -> Runtime {
    let declaration =
        serde_json::json!({"name": name, "formats": formats, "extensions": extensions});
    let text = declaration.to_string().replace('"', "\\\"");
    let wat = format!(
        "(component (core module (@custom \"wardian:runtime\" \"{text}\") (@custom \"salt\" \"{salt}\")))"
    );
    Runtime::new(wat::parse_str(wat).unwrap().into(), origin).unwrap()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn catalog<const N: usize>(runtimes: [Runtime; N]) -> RuntimeCatalog {
        RuntimeCatalog::of(runtimes.map(Arc::new))
    }

    fn named(found: Option<&Arc<Runtime>>) -> Option<&str> {
        found.map(|runtime| runtime.name())
    }

    #[test]
    fn every_embedded_runtime_has_a_declaration() {
        let catalog = RuntimeCatalog::embedded();
        assert_eq!(catalog.all().len(), EMBEDDED.len());
        assert_eq!(named(catalog.for_format("onnx")), Some("onnx"));
        assert_eq!(named(catalog.for_format("onnx-text")), Some("text"));
        for format in ["onnx-ml", "xgboost-json", "xgboost-ubjson", "lightgbm", "wardian-trees"] {
            assert_eq!(named(catalog.for_format(format)), Some("tabular"), "{format}");
        }
        assert_eq!(named(catalog.for_extension("trees.json")), Some("tabular"));
        assert_eq!(named(catalog.for_format("toy")), None);
    }

    #[test]
    fn a_runtime_of_the_operator_takes_precedence() {
        let catalog = catalog([
            test_runtime("tabular", &["onnx"], &["onnx"], Origin::Embedded, 0),
            test_runtime("tabular", &["lightgbm"], &["txt"], Origin::Folder, 1),
            test_runtime("another", &["onnx"], &[], Origin::Embedded, 0),
            test_runtime("zoo", &["lightgbm", "onnx"], &["zoo"], Origin::Folder, 0),
        ]);

        let names: Vec<_> = catalog.all().iter().map(|runtime| runtime.name()).collect();
        assert_eq!(names, ["tabular", "zoo", "another"]);
        assert_eq!(named(catalog.for_format("lightgbm")), Some("tabular"));
        assert_eq!(named(catalog.for_format("onnx")), Some("zoo"));
        assert_eq!(named(catalog.for_extension("onnx")), None, "the replaced one had it");
        assert!(!catalog.all()[0].is_embedded());
    }
}

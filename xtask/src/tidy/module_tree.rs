//! The modules of the crates that make up the program, and the file that a path leads to.

use std::collections::{BTreeMap, BTreeSet};

use super::paths::{self, NamedPath, Usage};
use super::source::{SourceFile, is_test_attribute};

/// Imports that lead to each other are followed no further than this.
const MAX_IMPORTS: usize = 16;

/// The modules of a crate, without those for tests and fuzzing.
pub(super) struct ModuleTree {
    /// By the module's path in the crate, such as `["api", "infer"]`; the root's is empty.
    modules: BTreeMap<Vec<String>, Module>,
}

/// A module's path in the crate, and the module.
type Entry<'t> = (&'t [String], &'t Module);

/// A module with a file of its own.
pub(super) struct Module {
    pub(super) file: String,
    pub(super) paths: Vec<NamedPath>,
    /// Names of the items that are defined in the file.
    items: BTreeSet<String>,
}

impl ModuleTree {
    /// Builds the tree of the crates whose sources lie in `folders`.
    pub(super) fn new(files: &[SourceFile], folders: &[&str]) -> Self {
        let of_crate: Vec<_> = files
            .iter()
            .filter_map(|file| {
                let path = folders
                    .iter()
                    .find_map(|folder| file.path.strip_prefix(folder)?.strip_prefix('/'))?;
                Some((module_path(path)?, file))
            })
            .collect();
        let for_tests: BTreeSet<Vec<String>> =
            of_crate.iter().flat_map(|(path, file)| test_modules(path, file)).collect();

        let is_product =
            |path: &[String]| (0..=path.len()).all(|length| !for_tests.contains(&path[..length]));
        let modules = of_crate.into_iter().filter(|(path, _)| is_product(path));
        ModuleTree { modules: modules.map(|(path, file)| (path, Module::new(file))).collect() }
    }

    /// The modules with their paths.
    pub(super) fn modules(&self) -> impl Iterator<Item = (&[String], &Module)> {
        self.modules.iter().map(|(path, module)| (path.as_slice(), module))
    }

    /// The first name of an external path, as it is named in a module; `None` if the path leads
    /// into this crate.
    pub(super) fn external<'p>(&self, module: &[String], path: &'p NamedPath) -> Option<&'p str> {
        let first = path.segments.first()?.as_str();
        let is_own = matches!(first, "crate" | "self" | "super" | "Self")
            || self.child(module, first).is_some()
            || self.modules.get(module)?.import(first).is_some_and(|import| import != path);
        (!is_own).then_some(first)
    }

    /// The module and the file with the item that a path leads to. `None` for a path out of the
    /// crate, and for one that leads to a module as a whole.
    pub(super) fn resolve(
        &self,
        module: &[String],
        segments: &[String],
    ) -> Option<(&[String], &str)> {
        let (path, module) = self.follow(module, segments, MAX_IMPORTS)?;
        Some((path, &module.file))
    }

    fn follow(&self, module: &[String], segments: &[String], imports: usize) -> Option<Entry<'_>> {
        let mut current = module.to_vec();
        for (index, segment) in segments.iter().enumerate() {
            match segment.as_str() {
                "crate" => current.clear(),
                "self" => {}
                "super" => drop(current.pop()),
                name => match self.child(&current, name) {
                    Some(child) => current = child,
                    None => return self.item(&current, &segments[index..], imports),
                },
            }
        }
        None
    }

    /// The file with an item of a module, or with what the module imports under that name.
    fn item(&self, module: &[String], segments: &[String], imports: usize) -> Option<Entry<'_>> {
        let name = segments.first()?;
        let (path, found) = self.modules.get_key_value(module)?;
        if found.items.contains(name) {
            return Some((path, found));
        }
        let imports = imports.checked_sub(1)?;
        if let Some(import) = found.import(name) {
            let target = [&import.segments[..], &segments[1..]].concat();
            // An import of an external crate's item under its own first name leads nowhere.
            return self
                .external(module, import)
                .is_none()
                .then(|| self.follow(module, &target, imports))?;
        }
        let globs = found.paths.iter().filter(|path| matches!(path.usage, Usage::Glob { .. }));
        globs.filter(|glob| self.external(module, glob).is_none()).find_map(|glob| {
            let target = [&glob.segments[..], segments].concat();
            self.follow(module, &target, imports)
        })
    }

    fn child(&self, module: &[String], name: &str) -> Option<Vec<String>> {
        let child = [module, &[name.to_owned()]].concat();
        self.modules.contains_key(&child).then_some(child)
    }
}

impl Module {
    fn new(file: &SourceFile) -> Self {
        let lines = file.product_lines();
        let items = lines.iter().filter_map(|line| defined_name(&line.code)).collect();
        Module { file: file.path.clone(), paths: paths::find(lines), items }
    }

    fn import(&self, name: &str) -> Option<&NamedPath> {
        self.paths.iter().find(
            |path| matches!(&path.usage, Usage::Import { name: imported, .. } if imported == name),
        )
    }
}

/// The module of a file, by its path in the crate's folder. `None` for the program beside the
/// library.
fn module_path(path: &str) -> Option<Vec<String>> {
    let path = path.strip_suffix(".rs")?;
    let path = path.strip_suffix("/mod").unwrap_or(path);
    match path {
        "lib" => Some(Vec::new()),
        "main" => None,
        path => Some(path.split('/').map(str::to_owned).collect()),
    }
}

/// The modules in files of their own that a file declares for tests or fuzzing.
fn test_modules(module: &[String], file: &SourceFile) -> Vec<Vec<String>> {
    let pairs = file.lines.windows(2).filter(|pair| is_test_attribute(&pair[0].code));
    let names = pairs.filter_map(|pair| declared_module(&pair[1].code));
    names.map(|name| [module, &[name]].concat()).collect()
}

/// The name in `mod name;`, behind whatever visibility.
fn declared_module(code: &str) -> Option<String> {
    let (_, name) = code.trim().strip_suffix(';')?.rsplit_once("mod ")?;
    Some(name.trim().to_owned())
}

/// The name of the item that a line begins to define.
fn defined_name(code: &str) -> Option<String> {
    const KEYWORDS: [&str; 9] =
        ["const", "enum", "fn", "macro_rules!", "static", "struct", "trait", "type", "union"];
    let mut words = code.split_whitespace().peekable();
    while let Some(word) = words.next() {
        let is_modifier = matches!(word, "async" | "unsafe" | "extern" | "default")
            || word.starts_with("pub")
            || word.ends_with(')');
        let next = words.peek().copied()?;
        let is_const_fn = KEYWORDS.contains(&next) || matches!(next, "async" | "unsafe");
        if KEYWORDS.contains(&word) && !is_const_fn {
            let end = next.find(|character: char| !character.is_alphanumeric() && character != '_');
            return Some(next[..end.unwrap_or(next.len())].to_owned());
        }
        if !KEYWORDS.contains(&word) && !is_modifier {
            return None;
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tree(files: &[(&str, &str)]) -> ModuleTree {
        let files: Vec<_> = files
            .iter()
            .map(|(path, text)| SourceFile::new(&format!("src/{path}"), text))
            .collect();
        ModuleTree::new(&files, &["src"])
    }

    fn resolve(tree: &ModuleTree, module: &str, path: &str) -> Option<String> {
        let split = |text: &str| -> Vec<String> {
            text.split("::").filter(|part| !part.is_empty()).map(str::to_owned).collect()
        };
        tree.resolve(&split(module), &split(path)).map(|(_, file)| file.to_owned())
    }

    #[test]
    fn paths_lead_through_imports_to_the_file_that_defines_the_item() {
        let tree = tree(&[
            ("lib.rs", "pub mod a;\npub mod b;\n"),
            (
                "a/mod.rs",
                "mod one;\nmod two;\npub use self::one::One;\npub use two::*;\nstruct Own;\n",
            ),
            ("a/one.rs", "use super::{Own, Two};\npub struct One;\n"),
            ("a/two.rs", "pub(super) struct Two;\n"),
            ("b.rs", "use crate::a;\nuse std::fmt;\nconst fn b() {}\n"),
        ]);
        for (module, path, expected) in [
            ("b", "crate::a::One", Some("src/a/one.rs")),
            ("b", "a::One", Some("src/a/one.rs")),
            ("a::one", "super::Two", Some("src/a/two.rs")),
            ("a::one", "super::Own", Some("src/a/mod.rs")),
            ("a::one", "crate::b::b", Some("src/b.rs")),
            ("b", "crate::a", None),
            ("b", "fmt::Result", None),
            ("b", "std::fmt", None),
        ] {
            assert_eq!(resolve(&tree, module, path).as_deref(), expected, "{module}: {path}");
        }
    }

    #[test]
    fn modules_for_tests_do_not_count() {
        let tree = tree(&[
            ("lib.rs", "mod a;\n#[cfg(test)]\nmod tests;\n"),
            ("a.rs", ""),
            ("tests.rs", "mod more;\n"),
            ("tests/more.rs", ""),
            ("main.rs", ""),
        ]);
        let files: Vec<_> = tree.modules().map(|(_, module)| module.file.as_str()).collect();
        assert_eq!(files, ["src/lib.rs", "src/a.rs"]);
    }

    #[test]
    fn an_external_path_begins_with_no_name_of_the_crate() {
        let tree = tree(&[("lib.rs", "mod a;\nuse wasmtime::Engine;\nuse axum;\n"), ("a.rs", "")]);
        let external: Vec<_> =
            tree.modules[&Vec::new()].paths.iter().map(|path| tree.external(&[], path)).collect();
        assert_eq!(external, [Some("wasmtime"), Some("axum")]);
    }
}

//! Sibling modules that use each other in a circle.
//!
//! A module uses a sibling if a file in it, or in a module below it, names an item that is defined
//! in the sibling or below it. Two uses do not count: a re-export, and a use between a module and
//! one below it, since a module is made of those below it and they share its types.

use std::collections::{BTreeMap, BTreeSet};

use super::Violation;
use super::module_tree::ModuleTree;
use super::paths::{NamedPath, Usage};

/// The use of an item of another module.
#[derive(Clone, Debug)]
struct Use<'t> {
    file: &'t str,
    line: usize,
    /// The file that defines the item.
    used: &'t str,
}

/// By module, the siblings that it uses, each with all uses.
type Graph<'t> = BTreeMap<String, BTreeMap<String, Vec<Use<'t>>>>;

/// Finds the circles.
pub(super) fn check(tree: &ModuleTree) -> Vec<Violation> {
    let graph = graph(tree);
    circles(&graph).iter().flat_map(|circle| describe(&graph, circle)).collect()
}

fn graph(tree: &ModuleTree) -> Graph<'_> {
    let mut graph = Graph::new();
    for (path, module) in tree.modules() {
        let mut seen = BTreeSet::new();
        for named in module.paths.iter().filter(|named| !is_reexport(named)) {
            let Some((used_path, used)) = tree.resolve(path, &named.segments) else { continue };
            let Some((module_name, sibling)) = siblings(path, used_path) else { continue };
            if seen.insert(used) {
                let one_use = Use { file: &module.file, line: named.line, used };
                graph.entry(module_name).or_default().entry(sibling).or_default().push(one_use);
            }
        }
    }
    graph
}

/// The modules right below the nearest common one of two modules. `None` if one of the two is below
/// the other.
fn siblings(one: &[String], other: &[String]) -> Option<(String, String)> {
    let common = one.iter().zip(other).take_while(|(one, other)| one == other).count();
    let below = |path: &[String]| Some(path.get(..=common)?.join("::"));
    Some((below(one)?, below(other)?))
}

fn is_reexport(named: &NamedPath) -> bool {
    matches!(named.usage, Usage::Import { exported: true, .. } | Usage::Glob { exported: true })
}

/// The modules that a module uses, directly and through others.
fn reached<'g>(graph: &'g Graph<'_>, from: &str) -> BTreeSet<&'g str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(module) = next.pop() {
        for used in graph.get(module).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(used.as_str()) {
                next.push(used);
            }
        }
    }
    reached
}

/// The circles: sets of modules each of which reaches all others.
fn circles<'g>(graph: &'g Graph<'_>) -> Vec<BTreeSet<&'g str>> {
    let reached: BTreeMap<&str, _> =
        graph.keys().map(|module| (module.as_str(), reached(graph, module))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (module, modules) in &reached {
        if !modules.contains(module) || circles.iter().any(|circle| circle.contains(module)) {
            continue;
        }
        let returns = |other: &&str| reached.get(other).is_some_and(|back| back.contains(module));
        circles.push(modules.iter().copied().filter(returns).collect());
    }
    circles
}

/// One fault for each use within a circle, so that the cheapest one to remove can be chosen.
fn describe(graph: &Graph<'_>, circle: &BTreeSet<&str>) -> Vec<Violation> {
    let mut violations = Vec::new();
    for module in circle {
        let used = graph.get(*module).into_iter().flatten();
        for (sibling, uses) in used.filter(|(sibling, _)| circle.contains(sibling.as_str())) {
            violations.extend(uses.iter().map(|one_use| Violation {
                path: one_use.file.into(),
                line: one_use.line,
                rule: "circles",
                text: format!(
                    "uses {}, and `{sibling}` leads back to `{module}` (a circle of {} modules); \
                     move the shared item into a module of its own",
                    one_use.used,
                    circle.len()
                ),
            }));
        }
    }
    violations
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::SourceFile;

    fn faults(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        let tree = ModuleTree::new(&files, &["src"]);
        check(&tree).into_iter().map(|one| format!("{}:{}", one.path, one.line)).collect()
    }

    const ROOF: (&str, &str) =
        ("src/a/mod.rs", "mod b;\nmod c;\npub use b::B;\nuse c::C;\npub struct A;\n");
    const ONE: (&str, &str) = ("src/a/b.rs", "use super::{A, C};\npub struct B;\n");
    const OTHER: (&str, &str) = ("src/a/c.rs", "use super::A;\npub struct C;\n");
    const BACK: (&str, &str) = ("src/a/c.rs", "\nuse super::b::B;\npub struct C;\n");

    #[test]
    fn siblings_make_circles_and_a_module_with_those_below_it_does_not() {
        assert_eq!(faults(&[ROOF, ONE, OTHER]), [""; 0]);
        assert_eq!(faults(&[ROOF, ONE, BACK]), ["src/a/b.rs:1", "src/a/c.rs:2"]);
    }

    #[test]
    fn folders_make_circles_through_different_files() {
        let roof = ("src/a/mod.rs", "mod b;\nmod c;\n");
        let one = ("src/a/b/mod.rs", "mod d;\npub struct B;\n");
        let below = ("src/a/b/d.rs", "use crate::a::c::e::E;\nuse super::B;\n");
        let other = ("src/a/c/mod.rs", "pub mod e;\nuse super::b;\nfn c(_: b::B) {}\n");
        let used = ("src/a/c/e.rs", "pub struct E;\n");
        let files = [roof, one, below, other, used];
        assert_eq!(faults(&files), ["src/a/b/d.rs:1", "src/a/c/mod.rs:3"]);

        let apart = [roof, one, below, ("src/a/c/mod.rs", "pub mod e;\n"), used];
        assert_eq!(faults(&apart), [""; 0]);
    }
}

//! Files of one module that use each other in a circle.
//!
//! A file uses another one if it names an item that is defined there. Two uses do not count: a
//! re-export, and a use between a module and one below it, since a module is made of those below it
//! and they share its types.

use std::collections::{BTreeMap, BTreeSet};

use super::module_tree::ModuleTree;
use super::paths::{NamedPath, Usage};
use super::{STALE, Violation};

/// The circles that are there, each by its files. A circle may lose files, and none may be added.
const KNOWN: &[&[&str]] = &[
    &["core/src/engine/artifact/files.rs", "core/src/engine/artifact/tenant_artifacts.rs"],
    &["host/src/repository/layout.rs", "host/src/repository/misplaced.rs"],
    &[
        "host/src/servable/batching/batcher.rs",
        "host/src/servable/batching/execute.rs",
        "host/src/servable/infer.rs",
        "host/src/servable/interceptors/intercepted_request.rs",
        "host/src/servable/interceptors/interceptor_call.rs",
        "host/src/servable/invocation.rs",
    ],
    &["core/src/store/sessions.rs", "core/src/store/tasks.rs"],
];

/// By file, the files that it uses, and where.
type Graph<'t> = BTreeMap<&'t str, BTreeMap<&'t str, usize>>;

/// Finds circles that are not known, and known ones that are smaller by now.
pub(super) fn check(tree: &ModuleTree) -> Vec<Violation> {
    compare(&graph(tree), KNOWN)
}

fn graph(tree: &ModuleTree) -> Graph<'_> {
    let mut graph = Graph::new();
    for (path, module) in tree.modules() {
        for named in module.paths.iter().filter(|named| !is_reexport(named)) {
            let Some(used) = tree.resolve(path, &named.segments) else { continue };
            let used_folder = folder(used);
            let own_folder = folder(&module.file);
            let is_kin =
                used_folder.starts_with(&own_folder) || own_folder.starts_with(&used_folder);
            if !is_kin {
                graph.entry(&module.file).or_default().entry(used).or_insert(named.line);
            }
        }
    }
    graph
}

/// The folder of the modules below a file, with its last slash.
fn folder(file: &str) -> String {
    let path = file.strip_suffix(".rs").unwrap_or(file);
    format!("{}/", path.strip_suffix("/mod").unwrap_or(path))
}

fn is_reexport(named: &NamedPath) -> bool {
    matches!(named.usage, Usage::Import { exported: true, .. } | Usage::Glob { exported: true })
}

/// The files that a file uses, directly and through others.
fn reached<'t>(graph: &Graph<'t>, from: &str) -> BTreeSet<&'t str> {
    let mut reached = BTreeSet::new();
    let mut next = vec![from];
    while let Some(file) = next.pop() {
        for used in graph.get(file).into_iter().flat_map(BTreeMap::keys) {
            if reached.insert(*used) {
                next.push(used);
            }
        }
    }
    reached
}

/// The circles: sets of files each of which reaches all others.
fn circles<'t>(graph: &Graph<'t>) -> Vec<BTreeSet<&'t str>> {
    let reached: BTreeMap<_, _> = graph.keys().map(|file| (*file, reached(graph, file))).collect();
    let mut circles: Vec<BTreeSet<&str>> = Vec::new();
    for (file, files) in &reached {
        if !files.contains(file) || circles.iter().any(|circle| circle.contains(file)) {
            continue;
        }
        let returns = |other: &&str| reached.get(other).is_some_and(|back| back.contains(file));
        circles.push(files.iter().copied().filter(returns).collect());
    }
    circles
}

fn compare(graph: &Graph<'_>, known: &[&[&str]]) -> Vec<Violation> {
    let circles = circles(graph);
    let mut violations = Vec::new();
    for circle in &circles {
        let is_known = known.iter().any(|known| circle.iter().all(|file| known.contains(file)));
        if !is_known {
            violations.extend(describe(graph, circle));
        }
    }

    let remains = |file: &str, known: &[&str]| {
        circles
            .iter()
            .any(|circle| circle.contains(file) && circle.iter().all(|file| known.contains(file)))
    };
    for known in known {
        let left: Vec<_> = known.iter().filter(|file| !remains(file, known)).collect();
        violations.extend(left.into_iter().map(|file| Violation {
            path: (*file).into(),
            line: 1,
            rule: STALE,
            text: "is in no known circle any more; remove it from xtask/src/tidy/circles.rs".into(),
        }));
    }
    violations
}

/// One fault for each use within a circle, so that the cheapest one to remove can be chosen.
fn describe(graph: &Graph<'_>, circle: &BTreeSet<&str>) -> Vec<Violation> {
    let uses = circle.iter().flat_map(|file| {
        let used = graph.get(file).into_iter().flatten().filter(|(used, _)| circle.contains(*used));
        used.map(|(used, line)| Violation {
            path: (*file).into(),
            line: *line,
            rule: "circles",
            text: format!(
                "uses {used}, which leads back here (a circle of {} files); move the shared item into a file of its own",
                circle.len()
            ),
        })
    });
    uses.collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::SourceFile;

    fn faults(files: &[(&str, &str)], known: &[&[&str]]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        let tree = ModuleTree::new(&files, &["src"]);
        let violations = compare(&graph(&tree), known);
        violations.into_iter().map(|one| format!("{}:{}", one.path, one.line)).collect()
    }

    const ROOF: (&str, &str) =
        ("src/a/mod.rs", "mod b;\nmod c;\npub use b::B;\nuse c::C;\npub struct A;\n");
    const ONE: (&str, &str) = ("src/a/b.rs", "use super::{A, C};\npub struct B;\n");
    const OTHER: (&str, &str) = ("src/a/c.rs", "use super::A;\npub struct C;\n");
    const BACK: (&str, &str) = ("src/a/c.rs", "\nuse super::b::B;\npub struct C;\n");

    #[test]
    fn siblings_make_circles_and_a_module_with_those_below_it_does_not() {
        assert_eq!(faults(&[ROOF, ONE, OTHER], &[]), [""; 0]);
        assert_eq!(faults(&[ROOF, ONE, BACK], &[]), ["src/a/b.rs:1", "src/a/c.rs:2"]);
    }

    #[test]
    fn a_known_circle_may_only_shrink() {
        let known: &[&[&str]] = &[&["src/a/b.rs", "src/a/c.rs"]];
        assert_eq!(faults(&[ROOF, ONE, BACK], known), [""; 0]);
        let larger: &[&[&str]] = &[&["src/a/b.rs", "src/a/c.rs", "src/a/d.rs"]];
        assert_eq!(faults(&[ROOF, ONE, BACK], larger), ["src/a/d.rs:1"]);
        assert_eq!(faults(&[ROOF, ONE, OTHER], known), ["src/a/b.rs:1", "src/a/c.rs:1"]);
    }
}

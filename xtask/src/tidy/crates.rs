//! External crates that only a few places may name.

use super::module_tree::ModuleTree;
use super::{STALE, Violation};

/// A crate with the places that may name it.
struct Confined {
    name: &'static str,
    /// Paths of files, or of folders with all below them.
    places: &'static [&'static str],
}

/// The crates, with the places of today. A place may be removed, and none added without need.
const CONFINED: &[Confined] = &[
    Confined {
        name: "wasmtime",
        // The aim is the first two: the server holds the engine's error in one of its own.
        places: &["core/src/capability", "core/src/engine", "host/src/server/error.rs"],
    },
    Confined {
        name: "wasmtime_wasi",
        places: &["core/src/capability", "core/src/engine/store_state.rs"],
    },
    Confined {
        name: "wardian_kernels",
        places: &["core/src/capability/kernels", "core/src/engine/mod.rs"],
    },
    Confined { name: "wasmtime_wasi_http", places: &["core/src/capability/http"] },
    Confined { name: "wasmtime_wizer", places: &["core/src/engine/compile/snapshot.rs"] },
    Confined { name: "wasm_encoder", places: &["core/src/engine/compile/split"] },
    Confined {
        name: "wasmparser",
        places: &[
            "host/src/cli/inspect",
            "core/src/engine/compile/split",
            "core/src/engine/compile/validate.rs",
            "host/src/repository/runtimes/declaration.rs",
        ],
    },
    Confined {
        name: "axum",
        // The client in `cli` uses its names of HTTP's own types.
        places: &["host/src/api", "host/src/cli", "host/src/server/accept.rs"],
    },
    Confined { name: "notify", places: &["host/src/repository/folder_watcher.rs"] },
    Confined {
        name: "rusqlite",
        places: &["core/src/database/sqlite", "core/src/journal.rs", "core/src/store/sqlite"],
    },
    Confined { name: "object_store", places: &["host/src/repository/remote"] },
    Confined { name: "tokio_postgres", places: &["core/src/database/postgres"] },
];

/// Finds crates that are named outside of their places, and places that no longer name them.
pub(super) fn check(tree: &ModuleTree) -> Vec<Violation> {
    CONFINED.iter().flat_map(|confined| check_crate(tree, confined)).collect()
}

fn check_crate(tree: &ModuleTree, confined: &Confined) -> Vec<Violation> {
    let mut unused: Vec<_> = confined.places.to_vec();
    let mut violations = Vec::new();
    for (path, module) in tree.modules() {
        let named =
            module.paths.iter().find(|named| tree.external(path, named) == Some(confined.name));
        let Some(named) = named else { continue };
        match confined.places.iter().find(|place| is_within(&module.file, place)) {
            Some(place) => unused.retain(|unused| unused != place),
            None => violations.push(Violation {
                path: module.file.clone(),
                line: named.line,
                rule: "crates",
                text: format!(
                    "only {} may name the crate `{}`; call them instead",
                    confined.places.join(", "),
                    confined.name
                ),
            }),
        }
    }

    violations.extend(unused.into_iter().map(|place| Violation {
        path: place.into(),
        line: 1,
        rule: STALE,
        text: format!(
            "no longer names the crate `{}`; remove it from xtask/src/tidy/crates.rs",
            confined.name
        ),
    }));
    violations
}

/// True for the place itself and for a file below it.
fn is_within(file: &str, place: &str) -> bool {
    file.strip_prefix(place).is_some_and(|rest| {
        rest.is_empty() || rest.starts_with('/') || (rest == ".rs" && !place.ends_with(".rs"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::SourceFile;

    const CONFINED: Confined = Confined { name: "axum", places: &["src/a", "src/b.rs"] };

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        let violations = check_crate(&ModuleTree::new(&files, &["src"]), &CONFINED);
        violations.into_iter().map(|one| format!("{}:{}", one.path, one.line)).collect()
    }

    #[test]
    fn a_crate_is_named_in_its_places_only() {
        let named = "\nuse axum::Router;\n";
        let other = "fn a() { axum::serve(); }\n";
        let none = "// axum::Router\nuse crate::a::axum;\n";
        let right = [("src/a/c.rs", named), ("src/b.rs", named), ("src/d.rs", none)];
        assert_eq!(check(&right), [""; 0]);
        assert_eq!(check(&[right[0], right[1], ("src/d.rs", other)]), ["src/d.rs:1"]);
        assert_eq!(check(&[right[0], ("src/b.rs", none)]), ["src/b.rs:1"]);
    }
}

//! The modules of the host, and which of them each may use. `host/src/lib.rs` draws the same.

use std::collections::BTreeSet;

use super::module_tree::ModuleTree;
use super::{STALE, Violation};

/// A module at the top of the crate, with the modules that it may use.
struct Layer {
    name: &'static str,
    uses: &'static [&'static str],
}

/// From the outermost to the innermost: a module uses only modules that stand below it.
const LAYERS: &[Layer] = &[
    Layer { name: "fuzzing", uses: &["api", "config", "database", "registry", "repository"] },
    Layer {
        name: "cli",
        uses: &[
            "allocator",
            "api",
            "capability",
            "config",
            "engine",
            "lifecycle",
            "model",
            "repository",
            "server",
            "telemetry",
            "tenant",
        ],
    },
    Layer {
        name: "server",
        uses: &[
            "api",
            "blocking",
            "box_future",
            "capability",
            "config",
            "database",
            "dataplane",
            "deferred",
            "disk_errors",
            "engine",
            "essential",
            "lifecycle",
            "model",
            "mutex",
            "registry",
            "repository",
            "servable",
            "store",
            "telemetry",
            "tenant",
        ],
    },
    Layer {
        name: "config",
        uses: &[
            "blocking",
            "capability",
            "database",
            "engine",
            "files",
            "model",
            "repository",
            "store",
            "telemetry",
            "tenant",
            "toml_reader",
        ],
    },
    Layer {
        name: "api",
        uses: &[
            "dataplane",
            "deferred",
            "engine",
            "lifecycle",
            "model",
            "mutex",
            "repository",
            "servable",
            "store",
            "telemetry",
            "tenant",
        ],
    },
    Layer { name: "dataplane", uses: &["engine", "model", "registry", "servable", "tenant"] },
    Layer {
        name: "deferred",
        uses: &["essential", "model", "mutex", "registry", "servable", "store", "tenant"],
    },
    Layer {
        name: "lifecycle",
        uses: &[
            "blocking",
            "capability",
            "database",
            "engine",
            "essential",
            "model",
            "mutex",
            "registry",
            "repository",
            "servable",
            "store",
            "tenant",
        ],
    },
    Layer { name: "registry", uses: &["model", "servable"] },
    Layer {
        name: "servable",
        uses: &[
            "box_future",
            "capability",
            "database",
            "engine",
            "model",
            "mutex",
            "store",
            "telemetry",
            "tenant",
        ],
    },
    Layer {
        name: "engine",
        uses: &[
            "blocking",
            "capability",
            "database",
            "disk_errors",
            "essential",
            "files",
            "model",
            "mutex",
            "tenant",
        ],
    },
    Layer {
        name: "capability",
        uses: &["blocking", "database", "model", "mutex", "store", "tenant"],
    },
    Layer {
        name: "store",
        uses: &["blocking", "disk_errors", "journal", "model", "mutex", "tenant"],
    },
    Layer { name: "database", uses: &["disk_errors", "journal", "model", "mutex", "tenant"] },
    Layer {
        name: "repository",
        uses: &[
            "blocking",
            "disk_errors",
            "essential",
            "files",
            "model",
            "mutex",
            "tenant",
            "toml_reader",
        ],
    },
    Layer { name: "tenant", uses: &["model", "mutex"] },
    Layer { name: "allocator", uses: &["essential"] },
    Layer { name: "essential", uses: &["telemetry"] },
    Layer { name: "telemetry", uses: &["model", "mutex"] },
    Layer { name: "journal", uses: &["disk_errors"] },
    Layer { name: "disk_errors", uses: &[] },
    Layer { name: "files", uses: &["model"] },
    Layer { name: "toml_reader", uses: &["model"] },
    Layer { name: "model", uses: &[] },
    Layer { name: "mutex", uses: &[] },
    Layer { name: "blocking", uses: &[] },
    Layer { name: "box_future", uses: &[] },
];

/// Finds modules that use others which they may not, and entries of the table that nothing needs.
pub(super) fn check(tree: &ModuleTree) -> Vec<Violation> {
    let mut violations = check_uses(tree, LAYERS);
    violations.extend(check_order(LAYERS));
    violations
}

fn check_uses(tree: &ModuleTree, layers: &[Layer]) -> Vec<Violation> {
    let mut used = BTreeSet::new();
    let mut violations = Vec::new();
    for (path, module) in tree.modules() {
        let Some(own) = path.first() else { continue };
        let Some(layer) = layers.iter().find(|layer| layer.name == own) else {
            violations.push(violation(&module.file, 1, format!("the module `{own}` is not in the table of layers; put it into xtask/src/tidy/layers.rs")));
            continue;
        };
        for named in &module.paths {
            let [first, target, ..] = &named.segments[..] else { continue };
            if first != "crate" || target == own {
                continue;
            }
            if layer.uses.contains(&target.as_str()) {
                used.insert((layer.name, target.clone()));
            } else {
                violations.push(violation(
                    &module.file,
                    named.line,
                    format!("`{own}` may not use `{target}`; move the item down, or pass it in from above"),
                ));
            }
        }
    }

    let entries =
        layers.iter().flat_map(|layer| layer.uses.iter().map(move |target| (layer.name, *target)));
    let unused = entries.filter(|(name, target)| !used.contains(&(*name, (*target).to_owned())));
    violations.extend(unused.map(|(name, target)| {
        let text = format!("`{name}` no longer uses `{target}`; remove it from the table");
        Violation { rule: STALE, ..violation(TABLE, 1, text) }
    }));
    violations
}

/// Finds entries that lead upwards in the table, which would let a circle in.
fn check_order(layers: &[Layer]) -> Vec<Violation> {
    let place = |name: &str| layers.iter().position(|layer| layer.name == name);
    let entries =
        layers.iter().flat_map(|layer| layer.uses.iter().map(move |target| (layer.name, *target)));
    let upwards = entries.filter(|(name, target)| place(target) <= place(name));
    upwards
        .map(|(name, target)| {
            violation(TABLE, 1, format!("`{target}` stands above `{name}`, which uses it"))
        })
        .collect()
}

const TABLE: &str = "xtask/src/tidy/layers.rs";

fn violation(path: &str, line: usize, text: String) -> Violation {
    Violation { path: path.into(), line, rule: "layers", text }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tidy::source::SourceFile;

    const LAYERS: [Layer; 3] = [
        Layer { name: "a", uses: &["b"] },
        Layer { name: "b", uses: &["c"] },
        Layer { name: "c", uses: &[] },
    ];

    fn check(files: &[(&str, &str)]) -> Vec<String> {
        let files: Vec<_> = files.iter().map(|(path, text)| SourceFile::new(path, text)).collect();
        let violations = check_uses(&ModuleTree::new(&files, &["src"]), &LAYERS);
        violations.into_iter().map(|one| format!("{}:{}", one.path, one.line)).collect()
    }

    #[test]
    fn a_module_uses_what_the_table_lets_it() {
        let b = ("src/b/d.rs", "use crate::{c::C, b::B};\n");
        assert_eq!(check(&[("src/a.rs", "use crate::b;\n"), b, ("src/c.rs", "")]), [""; 0]);
        assert_eq!(
            check(&[
                ("src/a.rs", "use crate::b;\n"),
                b,
                ("src/c.rs", "\nfn c() { crate::a::b(); }\n")
            ]),
            ["src/c.rs:2"]
        );
        assert_eq!(check(&[("src/a.rs", ""), b, ("src/c.rs", "")]), [format!("{TABLE}:1")]);
        assert_eq!(check(&[("src/a.rs", "use crate::b;\n"), b, ("src/e.rs", "")]), ["src/e.rs:1"]);
    }

    #[test]
    fn the_table_leads_downwards() {
        assert_eq!(check_order(super::LAYERS), []);
        let circle = [Layer { name: "a", uses: &["b"] }, Layer { name: "b", uses: &["a"] }];
        assert_eq!(check_order(&circle).len(), 1);
    }
}

//! Checks the invariants of the source text that neither the compiler nor clippy knows.
//!
//! Each rule is a function from the source files to [`Violation`]s; [`guests`] also reads the names
//! of the test guests' folders. The files that may name a crate are a list of the present state,
//! which may only shrink.

mod circles;
mod comments;
mod crates;
mod guests;
mod layers;
mod lexer;
mod module_tree;
mod paths;
mod source;
mod words;

use std::fs;

use anyhow::{Context, Result, bail};

use crate::workspace::root;
use module_tree::ModuleTree;

/// The rule of an allowance that is larger than what it allows. It is reported and fails nothing,
/// so that a fix needs no change of this tool.
const STALE: &str = "stale";

/// The sources of the crates whose modules are checked. They have no module in common: each names
/// those of the others by the same paths as its own.
const CRATES: &[&str] = &["core/src", "host/src"];

/// A broken rule.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Violation {
    /// The path from the workspace's root.
    path: String,
    /// Counted from 1.
    line: usize,
    /// The name of the rule.
    rule: &'static str,
    /// The fault and its fix.
    text: String,
}

/// Checks the source text of the workspace and prints each fault as `file:line: rule: text`. Fails
/// if there is one, apart from stale allowances.
pub(crate) fn check() -> Result<()> {
    let files = source::read_all(&root())?;
    let tree = ModuleTree::new(&files, CRATES);
    let glossary = root().join("docs/glossary.md");
    let glossary = fs::read_to_string(&glossary)
        .with_context(|| format!("cannot read {}", glossary.display()))?;

    let mut violations = Vec::new();
    violations.extend(crates::check(&tree));
    violations.extend(layers::check(&tree));
    violations.extend(circles::check(&tree));
    violations.extend(comments::check(&files));
    violations.extend(words::check(&files, &words::banned(&glossary)));
    violations.extend(guests::check(&root(), &files)?);

    violations.sort_by(|one, other| (&one.path, one.line).cmp(&(&other.path, other.line)));
    for Violation { path, line, rule, text } in &violations {
        eprintln!("{path}:{line}: {rule}: {text}");
    }

    match violations.iter().filter(|violation| violation.rule != STALE).count() {
        0 => Ok(()),
        count => bail!("the source text has {count} faults"),
    }
}

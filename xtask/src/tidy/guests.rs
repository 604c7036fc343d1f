//! Test guests that no test uses.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::Violation;
use super::source::SourceFile;

const FOLDER: &str = "tests/guests";

/// Finds guests whose names no test and no benchmark holds in quotes.
pub(super) fn check(root: &Path, files: &[SourceFile]) -> Result<Vec<Violation>> {
    let entries =
        fs::read_dir(root.join(FOLDER)).with_context(|| format!("cannot read {FOLDER}"))?;
    let folders = entries.flatten().filter(|entry| entry.path().join("Cargo.toml").exists());
    let names = folders.map(|entry| entry.file_name().to_string_lossy().into_owned());
    Ok(unused(names, files).map(violation).collect())
}

fn unused(
    names: impl Iterator<Item = String>,
    files: &[SourceFile],
) -> impl Iterator<Item = String> {
    let users: Vec<_> = files
        .iter()
        .filter(|file| {
            let is_test = file.path.starts_with("tests/") || file.path.starts_with("host/benches/");
            is_test && !file.path.starts_with(FOLDER)
        })
        .collect();
    names.filter(move |name| !users.iter().any(|file| file.text.contains(&format!("\"{name}\""))))
}

fn violation(name: String) -> Violation {
    Violation {
        path: format!("{FOLDER}/{name}/Cargo.toml"),
        line: 1,
        rule: "guests",
        text: format!("no test uses the guest '{name}'; write one, or remove the guest"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guest_is_used_by_a_test_that_names_it() {
        let files = [
            SourceFile::new("tests/a.rs", "guest(\"one\")"),
            SourceFile::new("tests/guests/two/src/lib.rs", "\"two\""),
        ];
        let names = ["one", "two"].map(str::to_owned);
        assert_eq!(unused(names.into_iter(), &files).collect::<Vec<_>>(), ["two"]);
    }
}

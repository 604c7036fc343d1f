//! Reports the tests that were skipped, the requirement they lack, and the command that installs
//! it.
//!
//! A test that lacks a requirement passes and appends a line to the file that the environment
//! variable [`VARIABLE`] names: the test, the requirement and the command, separated by tabs (see
//! `tests/harness/requirement.rs`).

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};

use anyhow::{Result, ensure};

use crate::workspace::target;

/// The environment variable that names the file.
pub(crate) const VARIABLE: &str = "WARDIAN_SKIPPED_TESTS";

/// Empties the file and returns its path.
pub(crate) fn create_file() -> Result<PathBuf> {
    let file = target().join("skipped-tests.tsv");
    fs::create_dir_all(target())?;
    fs::write(&file, "")?;
    Ok(file)
}

/// Notes that the tests of the Python package are skipped. Fails if Python is mandatory, as in CI.
pub(crate) fn note_python_package(file: &Path) -> Result<()> {
    ensure!(
        std::env::var_os("WARDIAN_REQUIRE_PYTHON").is_none(),
        "WARDIAN_REQUIRE_PYTHON is set, but the Python package cannot be tested"
    );
    // The words are those of the requirement in `tests/harness/requirement.rs`.
    let line = "pytest python\tPython 3 with the test packages\t\
                apt-get install python3-venv, then cargo xtask test\n";
    OpenOptions::new().append(true).open(file)?.write_all(line.as_bytes())?;
    Ok(())
}

/// Prints the report.
pub(crate) fn print_report(file: &Path) {
    let lines = fs::read_to_string(file).unwrap_or_default();
    eprint!("{}", summary(&lines));
}

fn summary(lines: &str) -> String {
    let mut groups: BTreeMap<(&str, &str), BTreeSet<&str>> = BTreeMap::new();
    for line in lines.lines() {
        let mut fields = line.splitn(3, '\t');
        if let (Some(test), Some(lacking), Some(command)) =
            (fields.next(), fields.next(), fields.next())
        {
            groups.entry((lacking, command)).or_default().insert(test);
        }
    }

    let count: usize = groups.values().map(BTreeSet::len).sum();
    let mut text = format!("{count} tests were skipped{}\n", if count == 0 { "" } else { ":" });
    for ((lacking, command), tests) in groups {
        text += &format!("  {} for want of {lacking}; to run them: {command}\n", tests.len());
        tests.iter().for_each(|test| text += &format!("    {test}\n"));
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tests_are_grouped_by_requirement() {
        let lines = "b\tPostgreSQL\tapt-get install postgresql\na\tPostgreSQL\tapt-get install postgresql\n\
                     a\tPostgreSQL\tapt-get install postgresql\nc\tnginx\tapt-get install nginx\n";
        let expected = "3 tests were skipped:\n  2 for want of PostgreSQL; to run them: apt-get install postgresql\n    \
                        a\n    b\n  1 for want of nginx; to run them: apt-get install nginx\n    c\n";
        assert_eq!(summary(lines), expected);
    }

    #[test]
    fn no_skipped_test_is_reported_too() {
        assert_eq!(summary(""), "0 tests were skipped\n");
    }
}

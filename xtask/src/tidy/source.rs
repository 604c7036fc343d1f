//! The Rust files of the workspace.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use super::lexer::{self, Line};

/// Folders with Rust files of this project.
const FOLDERS: [&str; 8] =
    ["core", "examples", "fuzz", "guest-models", "host", "kernels", "tests", "xtask"];

/// Folders below them that hold no source text.
const SKIPPED: [&str; 3] = ["artifacts", "corpus", "target"];

/// A Rust file.
#[derive(Clone, Debug)]
pub(super) struct SourceFile {
    /// The path from the workspace's root, with `/` between its parts.
    pub(super) path: String,
    pub(super) lines: Vec<Line>,
    /// The text as it is in the file.
    pub(super) text: String,
}

impl SourceFile {
    pub(super) fn new(path: &str, text: &str) -> Self {
        SourceFile { path: path.into(), lines: lexer::lines(text), text: text.into() }
    }

    /// The lines before a test module at the end of the file.
    pub(super) fn product_lines(&self) -> &[Line] {
        let begins_tests = |pair: &[Line]| {
            is_test_attribute(&pair[0].code)
                && pair[1].code.trim_start().starts_with("mod ")
                && pair[1].code.trim_end().ends_with('{')
        };
        let end = self.lines.windows(2).position(begins_tests);
        &self.lines[..end.unwrap_or(self.lines.len())]
    }
}

/// True for the attribute of a module that exists in builds for tests or fuzzing only.
pub(super) fn is_test_attribute(code: &str) -> bool {
    let code = code.trim();
    code.starts_with("#[cfg(") && (code.contains("test") || code.contains("fuzzing"))
}

/// Reads every Rust file of the project, ordered by path.
pub(super) fn read_all(root: &Path) -> Result<Vec<SourceFile>> {
    let mut files = Vec::new();
    for folder in FOLDERS {
        read_folder(root, folder, &mut files)?;
    }
    files.sort_by(|one: &SourceFile, other| one.path.cmp(&other.path));
    Ok(files)
}

fn read_folder(root: &Path, folder: &str, files: &mut Vec<SourceFile>) -> Result<()> {
    let entries =
        fs::read_dir(root.join(folder)).with_context(|| format!("cannot read {folder}"))?;
    for entry in entries {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let path = format!("{folder}/{name}");
        if entry.file_type()?.is_dir() {
            if !SKIPPED.contains(&name.as_str()) {
                read_folder(root, &path, files)?;
            }
        } else if name.ends_with(".rs") {
            let text =
                fs::read_to_string(entry.path()).with_context(|| format!("cannot read {path}"))?;
            files.push(SourceFile::new(&path, &text));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_test_module_is_no_product() {
        let file = SourceFile::new("a.rs", "fn a() {}\n#[cfg(test)]\nmod tests {\n}\n");
        assert_eq!(file.product_lines().len(), 1);
        let file = SourceFile::new("a.rs", "#[cfg(test)]\nmod tests;\nfn a() {}\n");
        assert_eq!(file.product_lines().len(), 3);
    }
}

//! The parts that tests of the runtimes have in common, where they need files that Python makes.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::{env, fs, io};

/// Notes that a test, such as `onnx: node_tests`, is skipped, in the words of
/// `tests/harness/requirement.rs`. Panics if Python is mandatory, as in CI.
pub fn skip(test: &str, reason: &str) -> io::Result<()> {
    let is_required = env::var_os("WARDIAN_REQUIRE_PYTHON").is_some();
    assert!(!is_required, "WARDIAN_REQUIRE_PYTHON is set, but {reason}");
    eprintln!("skipped for want of Python 3 with the test packages: {reason}");

    let Some(file) = env::var_os("WARDIAN_SKIPPED_TESTS") else { return Ok(()) };
    let line = format!(
        "{test}\tPython 3 with the test packages\t\
         apt-get install python3-venv, then cargo xtask test\n"
    );
    OpenOptions::new().append(true).open(file)?.write_all(line.as_bytes())
}

/// Returns the folders in a folder of which `is_case` is true, sorted by name.
pub fn folders(folder: &Path, is_case: impl Fn(&Path) -> bool) -> io::Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut folders: Vec<_> = paths.filter(|path| is_case(path)).collect();

    folders.sort();
    Ok(folders)
}

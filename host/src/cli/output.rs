//! Standard output and standard error.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::Value;

/// Prints lines. A closed pipe is no error: its reader has read enough.
pub(super) fn print(lines: &[String]) -> Result<()> {
    finish_write(lines.iter().try_for_each(|line| writeln!(io::stdout(), "{line}")))
}

/// Prints bytes unchanged.
pub(super) fn print_bytes(bytes: &[u8]) -> Result<()> {
    finish_write(io::stdout().write_all(bytes))
}

/// Prints a part of a line and flushes it.
pub(super) fn print_text(text: &str) -> Result<()> {
    finish_write(write!(io::stdout(), "{text}"))
}

/// Prints a line on standard error. A failure cannot be reported and is ignored.
pub(super) fn print_stderr(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

fn finish_write(printed: io::Result<()>) -> Result<()> {
    match printed.and_then(|()| io::stdout().flush()) {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Prints a JSON document.
pub(super) fn print_json(document: &Value) -> Result<()> {
    print(&[format!("{document:#}")])
}

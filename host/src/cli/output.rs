//! Standard output.

use std::io::{self, Write};

use anyhow::{Context, Result};
use serde_json::Value;

/// Prints lines. Whoever has read enough of them may go away.
pub(super) fn print(lines: &[String]) -> Result<()> {
    let mut out = io::stdout().lock();
    let printed = lines.iter().try_for_each(|line| writeln!(out, "{line}")).and_then(|()| out.flush());
    match printed {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        other => other.context("cannot write to standard output"),
    }
}

/// Prints a JSON document.
pub(super) fn print_json(document: &Value) -> Result<()> {
    print(&[format!("{document:#}")])
}

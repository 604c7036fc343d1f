//! Writing files that somebody may be watching.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

/// Makes `path` hold `content`, whole at every moment. Nothing happens if it does already, so that a
/// server which watches it does not load it again.
pub(crate) fn put(path: &Path, content: &[u8]) -> Result<()> {
    if fs::read(path).is_ok_and(|present| present == content) {
        return Ok(());
    }
    write(path, content).with_context(|| format!("cannot write {}", path.display()))
}

fn write(path: &Path, content: &[u8]) -> Result<()> {
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    // The server ignores this ending.
    let temporary = path.with_added_extension("tmp");
    fs::write(&temporary, content)?;
    fs::rename(&temporary, path)?;
    Ok(())
}

/// Makes `to` a copy of `from`.
pub(crate) fn copy(from: &Path, to: &Path) -> Result<()> {
    let content = fs::read(from).with_context(|| format!("cannot read {}", from.display()))?;
    put(to, &content)
}

//! The note in the state directory that the server asks for keys.
//!
//! A `wardian.toml` that has lost its keys, or is not found, is as sound as one that never had any.
//! The note tells the two apart when the server starts.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Config, check};

/// The note of one state directory.
#[derive(Clone, Debug)]
pub struct KeyMarker(PathBuf);

const FILE: &str = "keys-configured";

impl KeyMarker {
    /// The note in that state directory.
    pub fn new(state: &Path) -> Self {
        KeyMarker(state.join(FILE))
    }

    /// Notes whether the server asks for keys from now on.
    pub fn set(&self, asks_for_keys: bool) -> io::Result<()> {
        if asks_for_keys {
            self.0.parent().map_or(Ok(()), fs::create_dir_all)?;
            return File::create(&self.0).map(drop);
        }
        match fs::remove_file(&self.0) {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        }
    }

    /// The fault of a configuration without keys for a server that had some.
    pub(super) fn conflict(&self, config: &Config) -> Option<String> {
        self.0.exists().then(|| check::unlocked(config)).flatten()
    }
}

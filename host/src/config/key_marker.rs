//! Marker file in the state directory of a server that requires keys.
//!
//! A `wardian.toml` that has lost its keys, or is missing, is as valid as one that never had any.
//! The marker distinguishes them when the server starts.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{Config, setting_conflicts};

/// The marker of one state directory.
#[derive(Clone, Debug)]
pub struct KeyMarker(PathBuf);

const FILE: &str = "keys-configured";

impl KeyMarker {
    /// Returns the marker in a state directory.
    pub fn new(state: &Path) -> Self {
        KeyMarker(state.join(FILE))
    }

    /// Creates or removes the marker.
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

    /// Returns the conflict of a server that had keys and has none now.
    pub(super) fn conflict(&self, config: &Config) -> Option<String> {
        self.0.exists().then(|| setting_conflicts::lost_keys(config)).flatten()
    }
}

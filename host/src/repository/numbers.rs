//! The version numbers of bare components, kept across restarts.
//!
//! A bare `iris.wasm` says nothing of its version, so the host counts: each digest that differs
//! from the one before gets the next number. A model that was deleted keeps its record, so that the
//! same file put back keeps its number and another one goes on counting.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::model::{ModelName, Version};

const FILE: &str = "versions.json";

/// Who has which number. The default counts nothing that is there, and is never saved.
#[derive(Default)]
pub(super) struct Numbers {
    folder: PathBuf,
    counted: BTreeMap<String, Counted>,
    /// Counted, but not on disk yet.
    unsaved: BTreeSet<ModelName>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Counted {
    version: u64,
    digest: String,
}

impl Numbers {
    /// The file in that folder in which they are kept.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads the numbers in a private folder, which is made if need be. Fails as the file system
    /// does, and on a file that is not as [`Numbers::save`] wrote it: counting anew would give a
    /// number twice.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let counted = match fs::read(Numbers::file(folder)) {
            Ok(bytes) => parse(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };
        Ok(Numbers { folder: folder.into(), counted, unsaved: BTreeSet::new() })
    }

    /// The number of the version that holds this digest now.
    pub(super) fn number(&mut self, name: &ModelName, digest: Digest) -> Option<Version> {
        let before = self.counted.get(name.as_str());
        let same = before.filter(|counted| counted.digest == digest.to_string());
        if let Some(same) = same {
            return Version::new(same.version);
        }
        let version = before.map_or(0, |counted| counted.version).checked_add(1)?;
        self.counted.insert(name.to_string(), Counted { version, digest: digest.to_string() });
        self.unsaved.insert(name.clone());
        Version::new(version)
    }

    /// Whether this model's number could be given again after a crash.
    pub(super) fn is_unsaved(&self, name: &ModelName) -> bool {
        self.unsaved.contains(name)
    }

    /// Writes what is not on disk yet, whole or not at all. Fails as the file system does.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }
        let temporary = self.folder.join(".versions.json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&self.counted)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(FILE))?;
        // The rename itself must survive a power cut too.
        File::open(&self.folder)?.sync_all()?;
        self.unsaved.clear();
        Ok(())
    }
}

fn parse(bytes: &[u8]) -> io::Result<BTreeMap<String, Counted>> {
    let counted: BTreeMap<String, Counted> = serde_json::from_slice(bytes)?;
    let sound = counted
        .values()
        .all(|counted| counted.version > 0 && Digest::parse(&counted.digest).is_some());
    sound
        .then_some(counted)
        .ok_or_else(|| io::Error::other("it holds a version or digest that is none"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(folder: &Path, name: &str, contents: &[&str]) -> Vec<u64> {
        let name = ModelName::new(name).unwrap();
        let mut numbers = Numbers::open(folder).unwrap();
        let number = |content: &&str| {
            numbers.number(&name, Digest::of(content.as_bytes())).unwrap().number()
        };
        let given = contents.iter().map(number).collect();
        numbers.save().unwrap();
        given
    }

    #[test]
    fn a_number_grows_with_each_other_content_and_survives_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        assert_eq!(numbers(&state, "iris", &["a", "a", "b", "a", "a"]), [1, 1, 2, 3, 3]);
        assert_eq!(numbers(&state, "iris", &["a", "c"]), [3, 4]);
        assert_eq!(numbers(&state, "other", &["a"]), [1]);
    }

    #[test]
    fn a_file_that_is_not_ours_is_not_counted_over() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{", "[]", r#"{"iris":{"version":0,"digest":"00"}}"#, r#"{"iris":{}}"#] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(Numbers::open(folder.path()).is_err(), "{text}");
        }
    }

    #[test]
    fn what_cannot_be_saved_stays_unsaved() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let name = ModelName::new("iris").unwrap();
        let mut numbers = Numbers::open(&state).unwrap();
        numbers.number(&name, Digest::of(b"a"));
        fs::remove_dir(&state).unwrap();
        assert!(numbers.save().is_err());
        assert!(numbers.is_unsaved(&name));
        fs::create_dir(&state).unwrap();
        numbers.save().unwrap();
        assert!(!numbers.is_unsaved(&name));
    }
}

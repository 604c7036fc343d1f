//! Version numbers of bare components, kept across restarts.
//!
//! A bare `iris.wasm` has no version in its name, so the host counts: each digest that differs from
//! the previous one gets the next number. A deleted model keeps its record, so the same file put
//! back keeps its number and another file continues the count.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Digest;
use crate::model::{ModelName, Version};

const FILE: &str = "versions.json";

/// The latest version number of each bare model. The default is empty and is never saved.
#[derive(Default)]
pub(super) struct VersionNumbers {
    folder: PathBuf,
    latest: BTreeMap<String, NumberedDigest>,
    /// Models whose number is not on disk yet.
    unsaved: BTreeSet<ModelName>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct NumberedDigest {
    version: u64,
    digest: String,
}

impl VersionNumbers {
    /// Returns the path of the file in `folder`.
    pub(super) fn file(folder: &Path) -> PathBuf {
        folder.join(FILE)
    }

    /// Reads the numbers from a private folder, which is created if necessary. Fails on an I/O
    /// error, and if the file was not written by [`VersionNumbers::save`]: restarting the count
    /// would assign a number twice.
    pub(super) fn open(folder: &Path) -> io::Result<Self> {
        fs::create_dir_all(folder)?;
        let counted = match fs::read(VersionNumbers::file(folder)) {
            Ok(bytes) => parse(&bytes)?,
            Err(error) if error.kind() == io::ErrorKind::NotFound => BTreeMap::new(),
            Err(error) => return Err(error),
        };

        Ok(VersionNumbers { folder: folder.into(), latest: counted, unsaved: BTreeSet::new() })
    }

    /// Returns the version number of this digest, and assigns the next one to a new digest. Returns
    /// `None` if the numbers are exhausted.
    pub(super) fn number(&mut self, name: &ModelName, digest: Digest) -> Option<Version> {
        let before = self.latest.get(name.as_str());
        let same = before.filter(|counted| counted.digest == digest.to_string());

        if let Some(same) = same {
            return Version::new(same.version);
        }

        let version = before.map_or(0, |counted| counted.version).checked_add(1)?;
        self.latest
            .insert(name.to_string(), NumberedDigest { version, digest: digest.to_string() });
        self.unsaved.insert(name.clone());

        Version::new(version)
    }

    /// Returns true if this model's number is not on disk, so a crash could assign it again.
    pub(super) fn is_unsaved(&self, name: &ModelName) -> bool {
        self.unsaved.contains(name)
    }

    /// Writes unsaved numbers to disk atomically. Fails on an I/O error.
    pub(super) fn save(&mut self) -> io::Result<()> {
        if self.unsaved.is_empty() {
            return Ok(());
        }

        let temporary = self.folder.join(".versions.json.tmp");
        let mut file = File::create(&temporary)?;
        file.write_all(&serde_json::to_vec_pretty(&self.latest)?)?;
        file.sync_all()?;
        fs::rename(&temporary, self.folder.join(FILE))?;
        // Makes the rename durable.
        File::open(&self.folder)?.sync_all()?;
        self.unsaved.clear();

        Ok(())
    }
}

fn parse(bytes: &[u8]) -> io::Result<BTreeMap<String, NumberedDigest>> {
    let counted: BTreeMap<String, NumberedDigest> = serde_json::from_slice(bytes)?;
    let sound = counted
        .values()
        .all(|counted| counted.version > 0 && Digest::parse(&counted.digest).is_some());

    sound
        .then_some(counted)
        .ok_or_else(|| io::Error::other("it contains an invalid version or digest"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(folder: &Path, name: &str, contents: &[&str]) -> Vec<u64> {
        let name = ModelName::new(name).unwrap();
        let mut numbers = VersionNumbers::open(folder).unwrap();
        let number = |content: &&str| {
            numbers.number(&name, Digest::sha256(content.as_bytes())).unwrap().number()
        };

        let given = contents.iter().map(number).collect();
        numbers.save().unwrap();

        given
    }

    #[test]
    fn numbers_increase_with_each_new_content_and_survive_restarts() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("a/b");
        assert_eq!(numbers(&state, "iris", &["a", "a", "b", "a", "a"]), [1, 1, 2, 3, 3]);
        assert_eq!(numbers(&state, "iris", &["a", "c"]), [3, 4]);
        assert_eq!(numbers(&state, "other", &["a"]), [1]);
    }

    #[test]
    fn an_invalid_file_is_not_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        for text in ["", "{", "[]", r#"{"iris":{"version":0,"digest":"00"}}"#, r#"{"iris":{}}"#] {
            fs::write(folder.path().join(FILE), text).unwrap();
            assert!(VersionNumbers::open(folder.path()).is_err(), "{text}");
        }
    }

    #[test]
    fn numbers_stay_unsaved_if_saving_fails() {
        let folder = tempfile::tempdir().unwrap();
        let state = folder.path().join("state");
        let name = ModelName::new("iris").unwrap();
        let mut numbers = VersionNumbers::open(&state).unwrap();
        numbers.number(&name, Digest::sha256(b"a"));
        fs::remove_dir(&state).unwrap();
        assert!(numbers.save().is_err());
        assert!(numbers.is_unsaved(&name));
        fs::create_dir(&state).unwrap();
        numbers.save().unwrap();

        assert!(!numbers.is_unsaved(&name));
    }
}

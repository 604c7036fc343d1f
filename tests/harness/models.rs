//! A directory of models, and the ways in which users change one.

use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};

/// A directory of models.
pub(crate) struct Models {
    root: PathBuf,
}

impl Models {
    pub(super) fn new(root: PathBuf) -> Self {
        Models { root }
    }

    /// Returns the path of a file in the repository.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Writes the bare component of model `name`, in one step.
    pub(crate) fn bare(&self, name: &str, component: Vec<u8>) {
        self.put(&format!("{name}.wasm"), component);
    }

    /// Writes a version of a model, in one step.
    pub(crate) fn version(&self, name: &str, version: u64, component: Vec<u8>) {
        self.put(&format!("{name}/{version}/model.wasm"), component);
    }

    /// Writes a model's `model.toml`, in one step.
    pub(crate) fn settings(&self, name: &str, model_toml: &str) {
        self.put(&format!("{name}/model.toml"), model_toml);
    }

    /// Writes a file in one step: under a temporary name, and then renamed.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        let mut beside = tempfile::Builder::new().prefix(".put-").tempfile_in(folder).unwrap();
        beside.write_all(content.as_ref()).unwrap();
        beside.persist(path).unwrap();
    }

    /// Overwrites a file in place, as `cp` does.
    pub(crate) fn write_in_place(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Opens a file that is written bit by bit, as in a slow upload.
    pub(crate) fn create(&self, name: &str) -> File {
        File::create(self.path(name)).unwrap()
    }

    /// Copies all files of a folder into a folder of the repository.
    pub(crate) fn copy_folder(&self, from: &Path, to: &str) {
        for entry in fs::read_dir(from).unwrap() {
            let entry = entry.unwrap();
            let name = entry.file_name().into_string().unwrap();
            self.put(&format!("{to}/{name}"), fs::read(entry.path()).unwrap());
        }
    }

    /// Removes a file, or a folder with everything in it.
    pub(crate) fn remove(&self, name: &str) {
        let path = self.path(name);
        if path.is_dir() {
            fs::remove_dir_all(path).unwrap()
        } else {
            fs::remove_file(path).unwrap()
        }
    }
}

//! A directory of models, and the ways in which people change one.

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

    /// Where a file of the repository is.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Puts the model `name` there as one bare file, in one step.
    pub(crate) fn bare(&self, name: &str, component: Vec<u8>) {
        self.put(&format!("{name}.wasm"), component);
    }

    /// Puts a version of a model there, in one step.
    pub(crate) fn version(&self, name: &str, version: u64, component: Vec<u8>) {
        self.put(&format!("{name}/{version}/model.wasm"), component);
    }

    /// Puts a model's settings there, in one step.
    pub(crate) fn settings(&self, name: &str, model_toml: &str) {
        self.put(&format!("{name}/model.toml"), model_toml);
    }

    /// Puts a file there in one step, as a careful program does: written beside its place, renamed
    /// into it.
    pub(crate) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.path(name);
        let folder = path.parent().unwrap();
        fs::create_dir_all(folder).unwrap();
        let mut beside = tempfile::Builder::new().prefix(".put-").tempfile_in(folder).unwrap();
        beside.write_all(content.as_ref()).unwrap();
        beside.persist(path).unwrap();
    }

    /// Writes over a file where it lies, as `cp` does.
    pub(crate) fn write_in_place(&self, name: &str, content: impl AsRef<[u8]>) {
        fs::write(self.path(name), content).unwrap();
    }

    /// Opens a file that is about to be written bit by bit, as a slow upload does.
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

//! A folder like the root of the repository after `cargo xtask serve` has built everything.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use super::page::{Page, root};

/// A scratch folder, which is removed on drop.
pub(super) struct Scratch {
    folder: tempfile::TempDir,
    replaced: Vec<(&'static str, String)>,
}

impl Scratch {
    /// Links everything in the repository, and copies build outputs that may be changed. Of the
    /// example models it copies only those that the page names, because a server compiles all
    /// models that it finds.
    pub(super) fn new(page: &Page) -> Scratch {
        let folder = tempfile::Builder::new().prefix("wardian-documentation-").tempdir().unwrap();
        let scratch = Scratch { folder, replaced: Vec::new() };
        for entry in fs::read_dir(root()).unwrap() {
            let entry = entry.unwrap();
            let left_out = [".git", ".wardian", "models", "target", "wardian.toml", "tenants"];
            if !left_out.iter().any(|name| entry.file_name() == *name) {
                symlink(entry.path(), scratch.path("").join(entry.file_name())).unwrap();
            }
        }
        copy(&root().join("target/interceptors"), &scratch.path("target/interceptors"));
        for entry in fs::read_dir(root().join("target/models")).unwrap() {
            let (path, models) = (entry.unwrap().path(), scratch.path("target/models"));
            if page.text.contains(path.file_stem().unwrap().to_str().unwrap()) {
                fs::create_dir_all(&models).unwrap();
                copy(&path, &models.join(path.file_name().unwrap()));
            }
        }
        for program in ["bin/wardian", "target/release/wardian"] {
            scratch.make_folder_of(program);
            symlink(env!("CARGO_BIN_EXE_wardian"), scratch.path(program)).unwrap();
        }
        scratch
    }

    /// Returns a path in the folder.
    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Writes a file into the folder.
    pub(super) fn put(&self, name: &str, content: impl AsRef<[u8]>) {
        self.make_folder_of(name);
        fs::write(self.path(name), content).unwrap();
    }

    /// Replaces `text` with `with` in the page's commands, for names and ports that two tests
    /// cannot share.
    pub(super) fn replace(&mut self, text: &'static str, with: &str) {
        self.replaced.push((text, with.to_owned()));
    }

    /// Returns the commands with all replacements.
    pub(super) fn fitted(&self, commands: String) -> String {
        self.replaced.iter().fold(commands, |commands, (text, with)| commands.replace(text, with))
    }

    fn make_folder_of(&self, name: &str) {
        fs::create_dir_all(self.path(name).parent().unwrap()).unwrap();
    }
}

fn copy(from: &Path, to: &Path) {
    if !from.is_dir() {
        fs::copy(from, to).unwrap();
        return;
    }
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        copy(&entry.path(), &to.join(entry.file_name()));
    }
}

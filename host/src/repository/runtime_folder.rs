//! The operator's folder of runtimes: `NAME.wasm` is the runtime NAME.
//!
//! The folder is scanned and watched like a repository, so the same rules hold for files that still
//! change, for links, and for a folder that vanishes. What a scan announces becomes a catalog. A
//! file that is not a runtime leaves the previous one of that name in place.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use super::aspired_versions::{AspiredVersions, Observed};
use super::candidate::{Candidate, ComponentSource};
use super::config::DirectoryConfig;
use super::confined_dir::read_error_text;
use super::directory::Directory;
use super::layout::{COMPONENT_ENDING, is_temporary};
use super::runtimes::{Origin, Runtime, RuntimeCatalog, Runtimes};
use crate::blocking;
use crate::files::ConfinedFile;
use crate::model::Digest;

/// Longest runtime in bytes. Each is held in memory.
const MAX_SIZE: u64 = 128 << 20;

/// Maximum number of runtimes in the folder.
const MAX_RUNTIMES: usize = 64;

/// Time between two looks for a folder that does not exist.
const MISSING_INTERVAL: Duration = Duration::from_secs(1);

/// The operator's folder, and the runtimes of the program with those of the folder.
#[derive(Debug)]
pub struct RuntimeFolder {
    runtimes: Runtimes,
    files: BTreeMap<String, RuntimeFile>,
}

impl RuntimeFolder {
    /// Reads a folder as it is now. It may not exist.
    pub fn read(root: &Path) -> Self {
        let mut folder = RuntimeFolder { runtimes: Runtimes::default(), files: BTreeMap::new() };
        folder.read_files(root);
        folder.runtimes.replace(folder.catalog());
        folder
    }

    /// The runtimes of the program and of the folder, as of now and after later changes.
    pub fn runtimes(&self) -> &Runtimes {
        &self.runtimes
    }

    /// Follows the changes of the folder, without end. Must run within a tokio runtime.
    pub async fn follow(mut self, config: DirectoryConfig) {
        let root = config.root.clone();
        while !root.is_dir() {
            tokio::time::sleep(MISSING_INTERVAL).await;
        }

        // Model files have no meaning in this folder.
        let directory = match Directory::spawn(config, &Runtimes::empty()) {
            Ok(directory) => directory,
            Err(error) => return tracing::error!(%error, "cannot watch the folder of runtimes"),
        };

        let mut announced = directory.subscribe();
        loop {
            let aspired = announced.borrow_and_update().clone();
            let applied = blocking::run(move || {
                self.apply(&aspired);
                self.runtimes.replace(self.catalog());
                self
            });

            let Ok(next) = applied.await else { return };
            self = next;
            if announced.changed().await.is_err() {
                return;
            }
        }
    }
}

/// A file of the folder.
#[derive(Debug, Default)]
struct RuntimeFile {
    /// The content that was read last, usable or not; `None` before.
    digest: Option<Digest>,
    /// The last content that is a runtime.
    runtime: Option<Arc<Runtime>>,
    /// The reason why the present content is not used; `None` if it is.
    fault: Option<String>,
}

impl RuntimeFolder {
    fn read_files(&mut self, root: &Path) {
        let entries = fs::read_dir(root).into_iter().flatten().flatten();
        let mut names: Vec<_> =
            entries.map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
        names.sort();

        for name in names.iter().filter(|name| !is_temporary(name)) {
            let Some(stem) = name.strip_suffix(COMPONENT_ENDING) else { continue };
            // A file that cannot be read now is reported by the first scan.
            let read =
                ConfinedFile::from_path(&root.join(name)).and_then(|file| file.read(MAX_SIZE));
            let Ok(content) = read else { continue };
            self.set(stem, Digest::sha256(&content), |_| Ok(content));
        }
    }

    /// The catalog of these runtimes and the embedded ones.
    fn catalog(&self) -> RuntimeCatalog {
        let own = self.files.values().filter_map(|file| file.runtime.clone());
        let embedded = RuntimeCatalog::embedded().all().iter().cloned();
        RuntimeCatalog::of(own.chain(embedded))
    }

    /// Applies an announcement: reads what has changed, and forgets what is gone.
    fn apply(&mut self, aspired: &AspiredVersions) {
        if aspired.degraded.is_some() {
            return;
        }

        let present =
            |name: &String| aspired.observed.iter().any(|seen| seen.name().as_str() == name);
        self.files.retain(|name, file| {
            let stays = present(name);
            if !stays && file.runtime.is_some() {
                tracing::info!(runtime = name, "runtime removed");
            }
            stays
        });

        for seen in &aspired.observed {
            let name = seen.name().as_str();
            match seen {
                Observed::Candidate(candidate) => self.add(name, candidate),
                Observed::Faulty { reason, .. } => self.refuse(name, reason.clone()),
                Observed::Unsettled { .. } | Observed::Missing { .. } => {}
            }
        }
    }

    fn add(&mut self, name: &str, candidate: &Candidate) {
        let ComponentSource::File(file) = &candidate.component else { return };
        if file.path().components().count() != 1 {
            let why = format!("a runtime lies directly in the folder, as {name}{COMPONENT_ENDING}");
            return self.refuse(name, why);
        }

        let size = candidate.component_size;
        self.set(name, candidate.component_digest, |digest| match size {
            ..=MAX_SIZE => read(file, digest),
            _ => Err(format!("{size} bytes are more than the {MAX_SIZE} allowed")),
        });
    }

    /// Uses another content of a file, if it is a runtime.
    fn set(
        &mut self,
        name: &str,
        digest: Digest,
        read: impl FnOnce(Digest) -> Result<Vec<u8>, String>,
    ) {
        let count = self.files.len();
        let file = self.files.entry(name.to_owned()).or_default();
        if file.digest.replace(digest) == Some(digest) {
            return;
        }

        let is_full = file.runtime.is_none() && count >= MAX_RUNTIMES;
        let runtime = match is_full {
            true => Err(format!("there are more than {MAX_RUNTIMES} runtimes")),
            false => read(digest).and_then(|content| runtime(name, content)),
        };

        match runtime {
            Ok(runtime) => {
                tracing::info!(runtime = name, %digest, "runtime read");
                file.runtime = Some(Arc::new(runtime));
                file.fault = None;
            }
            Err(why) => self.report(name, why),
        }
    }

    /// Leaves the previous content of a file in use.
    fn refuse(&mut self, name: &str, fault: String) {
        self.files.entry(name.to_owned()).or_default().digest = None;
        self.report(name, fault);
    }

    /// Logs once why a file is not used.
    fn report(&mut self, name: &str, fault: String) {
        let file = self.files.entry(name.to_owned()).or_default();
        if file.fault.as_ref() == Some(&fault) {
            return;
        }

        let stays = file.runtime.is_some();
        tracing::warn!(
            runtime = name,
            reason = fault,
            previous_stays = stays,
            "not a usable runtime"
        );
        file.fault = Some(fault);
    }
}

/// Reads a file that was seen with this digest.
fn read(file: &ConfinedFile, digest: Digest) -> Result<Vec<u8>, String> {
    let content = file
        .read(MAX_SIZE)
        .map_err(|error| format!("cannot be read: {}", read_error_text(&error)))?;
    match Digest::sha256(&content) == digest {
        true => Ok(content),
        false => Err("it changed while it was being read".into()),
    }
}

fn runtime(name: &str, content: Vec<u8>) -> Result<Runtime, String> {
    let runtime = Runtime::new(content.into(), Origin::Folder)?;
    match runtime.name() == name {
        true => Ok(runtime),
        false => Err(format!(
            "it declares the name '{}'; rename the file to {}{COMPONENT_ENDING}",
            runtime.name(),
            runtime.name()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::repository::runtimes::test_runtime;

    fn toy(name: &str, salt: u8) -> Vec<u8> {
        test_runtime(name, &["toy"], &["toy"], Origin::Folder, salt).component().to_vec()
    }

    fn names(folder: &RuntimeFolder) -> Vec<String> {
        let catalog = folder.catalog();
        let own = catalog.all().iter().filter(|runtime| !runtime.is_embedded());
        own.map(|runtime| runtime.name().to_owned()).collect()
    }

    #[test]
    fn the_runtimes_of_a_folder_are_read_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let put =
            |name: &str, content: &[u8]| fs::write(folder.path().join(name), content).unwrap();
        put("toy.wasm", &toy("toy", 0));
        put("wrong.wasm", &toy("right", 0));
        put("text.wasm", b"text");
        put("toy.wasm.part", &toy("toy", 1));

        let read = RuntimeFolder::read(folder.path());
        assert_eq!(names(&read), ["toy"]);
        let fault = |name: &str| read.files[name].fault.clone().unwrap();
        assert!(fault("wrong").contains("rename the file to right.wasm"), "{}", fault("wrong"));
        assert!(fault("text").contains("not a WebAssembly component"), "{}", fault("text"));
        assert_eq!(names(&RuntimeFolder::read(&folder.path().join("missing"))), [""; 0]);
    }

    #[test]
    fn a_bad_content_leaves_the_previous_runtime() {
        let mut folder = RuntimeFolder::read(Path::new("/nowhere"));
        let mut set = |content: Vec<u8>| {
            let folder = &mut folder;
            folder.set("toy", Digest::sha256(&content), |_| Ok(content));
            folder.files["toy"].runtime.as_ref().map(|runtime| runtime.digest())
        };

        let first = set(toy("toy", 0));
        assert_eq!(first, Some(Digest::sha256(&toy("toy", 0))));
        assert_eq!(set(b"bad".to_vec()), first);
        assert_eq!(set(toy("other", 0)), first);
        assert_eq!(set(toy("toy", 1)), Some(Digest::sha256(&toy("toy", 1))));
        assert_eq!(set(toy("toy", 0)), first, "back again");
        assert!(folder.files.values().all(|file| file.fault.is_none()));
    }

    #[tokio::test]
    async fn changes_of_the_folder_are_followed() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path().join("runtimes");
        let read = RuntimeFolder::read(&root);
        let runtimes = read.runtimes().clone();
        let settle = Duration::from_millis(20);
        let config = DirectoryConfig {
            tenant: crate::model::TenantName::default_tenant(),
            root: root.clone(),
            state: folder.path().join("state"),
            watch: crate::repository::WatchMode::Poll,
            poll_interval: settle,
            rescan_interval: settle,
            settle,
            max_versions: 10,
            is_mirror: false,
        };
        let followed = tokio::spawn(read.follow(config));

        fs::create_dir(&root).unwrap();
        fs::write(root.join("toy.wasm"), toy("toy", 0)).unwrap();
        until(|| runtimes.catalog().for_format("toy").is_some()).await;
        let digest = |content: &[u8]| Some(Digest::sha256(content));
        let present = || runtimes.catalog().for_format("toy").map(|runtime| runtime.digest());

        fs::write(root.join("toy.wasm"), toy("toy", 1)).unwrap();
        until(|| present() == digest(&toy("toy", 1))).await;
        fs::remove_file(root.join("toy.wasm")).unwrap();
        until(|| present().is_none()).await;
        followed.abort();
    }

    async fn until(is_so: impl Fn() -> bool) {
        let wait = async {
            while !is_so() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), wait).await.unwrap();
    }
}

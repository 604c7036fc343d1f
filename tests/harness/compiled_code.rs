//! Code that a server of this run has compiled, for the stores of later servers. Most tests use the
//! same guests, and compiling them took longer than anything else.
//!
//! Only code that models share is kept: a model's own state depends on more than its component.
//! The host uses a kept artifact only for the tenant, engine and bytes that it was made for.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};

const PREFIX: &str = "wardian-test-code-";

/// Puts the compiled code into the artifact store of a server that has not been started yet, unless
/// it is on another file system.
pub(super) fn link_into(state: &Path) {
    let store = state.join("artifacts");
    if !store.exists() {
        let outcome = link_artifacts(&directory().join("artifacts"), &store, |_| true);
        let is_elsewhere = |error: &io::Error| error.kind() == io::ErrorKind::CrossesDevices;
        assert!(outcome.as_ref().err().is_none_or(is_elsewhere), "{outcome:?}");
    }
}

/// Keeps the code that a server has compiled. The server has ended, perhaps while it wrote.
pub(super) fn keep_from(state: &Path) {
    let _ =
        link_artifacts(&state.join("artifacts"), &directory().join("artifacts"), is_shared_code);
}

/// The directory of this process, on the file system of the servers' directories.
fn directory() -> &'static Path {
    static DIRECTORY: OnceLock<PathBuf> = OnceLock::new();
    DIRECTORY.get_or_init(|| {
        let parent = std::env::temp_dir();
        remove_of_ended_processes(&parent).unwrap();

        let prefix = format!("{PREFIX}{}-", std::process::id());
        let directory = tempfile::Builder::new().prefix(&prefix).tempdir_in(parent).unwrap().keep();
        fs::create_dir(directory.join("artifacts")).unwrap();
        directory
    })
}

/// Nothing runs at the end of a test process, so the next one removes its directory.
fn remove_of_ended_processes(parent: &Path) -> io::Result<()> {
    for entry in fs::read_dir(parent)? {
        let entry = entry?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let process = name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').next());
        if process.is_some_and(|process| !Path::new("/proc").join(process).exists()) {
            let _ = fs::remove_dir_all(entry.path());
        }
    }
    Ok(())
}

/// Links the artifacts of each tenant's folder from one store into another.
fn link_artifacts(from: &Path, to: &Path, is_wanted: fn(&Path) -> bool) -> io::Result<()> {
    for tenant in fs::read_dir(from)? {
        let tenant = tenant?;
        let folder = to.join(tenant.file_name());

        for artifact in fs::read_dir(tenant.path())? {
            let artifact = artifact?;
            let target = folder.join(artifact.file_name());
            if !target.exists() && is_wanted(&artifact.path()) {
                link_artifact(&artifact.path(), &target)?;
            }
        }
    }
    Ok(())
}

/// Links the files of an artifact. It appears complete: tests run side by side.
fn link_artifact(artifact: &Path, target: &Path) -> io::Result<()> {
    static UNFINISHED: AtomicU64 = AtomicU64::new(0);
    let number = UNFINISHED.fetch_add(1, Ordering::Relaxed);
    let unfinished = directory().join(format!("unfinished-{number}"));

    fs::create_dir(&unfinished)?;
    for file in fs::read_dir(artifact)? {
        let file = file?;
        fs::hard_link(file.path(), unfinished.join(file.file_name()))?;
    }

    fs::create_dir_all(target.parent().unwrap_or(target))?;
    match fs::rename(&unfinished, target) {
        Ok(()) => Ok(()),
        // Another test was faster.
        Err(_) if target.exists() => fs::remove_dir_all(&unfinished),
        Err(error) => Err(error),
    }
}

/// True for a finished artifact that is code which models share.
fn is_shared_code(artifact: &Path) -> bool {
    let Ok(description) = fs::read(artifact.join("about.json")) else { return false };
    let description: Result<serde_json::Value, _> = serde_json::from_slice(&description);
    description.is_ok_and(|description| description["form"]["code"].is_u64())
}

//! Versions that are uploaded and removed over HTTP.

mod archives;
mod concurrency;
mod deleting;
mod publishing;
mod refusals;

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::harness::{Response, Server, until};

/// Returns the SHA-256 of a component, as in the server's responses.
fn digest(component: &[u8]) -> String {
    Sha256::digest(component).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Asks `scripted` for its version until `done`. Returns the last one.
///
/// # Panics
/// If a version answers after a newer one.
fn ask_until(server: &Server, done: &AtomicBool) -> i64 {
    let mut last = 0;
    while !done.load(Ordering::Relaxed) {
        let version = server.version_of("scripted");
        assert!(version >= last, "version {version} answered after version {last}");
        last = version;
    }
    last
}

/// Asserts that an uploaded version serves.
#[track_caller]
fn assert_ready(response: &Response, status: u16, model: &str, version: u64, component: &[u8]) {
    assert_eq!(response.status, status, "{response}");
    let told = json!({
        "name": model, "version": version.to_string(), "digest": digest(component), "state": "READY", "reason": "",
    });
    assert_eq!(response.json(), told);
}

/// Waits until nothing of an upload is left on disk or in the tenant's quotas.
fn until_clean(server: &Server) {
    let hidden = server.models().path(".wardian-upload");
    let staged = || fs::read_dir(&hidden).map_or(0, Iterator::count);
    let stored = || used(server, "storage");
    until("that nothing is left of an upload", || staged() == 0 && stored() == whole(server));
}

/// Returns the bytes of all visible files that count as storage.
fn whole(server: &Server) -> u64 {
    fn size(path: &std::path::Path) -> u64 {
        let entries = fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path());
        let is_counted = |path: &std::path::PathBuf| {
            let name = path.file_name().unwrap().to_string_lossy();
            !name.starts_with('.') && name != "model.toml"
        };
        let seen = entries.filter(is_counted);
        seen.map(
            |path| if path.is_dir() { size(&path) } else { fs::metadata(&path).unwrap().len() },
        )
        .sum()
    }
    size(&server.models().path(""))
}

/// Returns the amount that the tenant holds of a quota.
fn used(server: &Server, quota: &str) -> u64 {
    let usage: Value = server.get("/v2/usage").ok().json();
    usage["quota"][quota]["used"].as_u64().unwrap()
}

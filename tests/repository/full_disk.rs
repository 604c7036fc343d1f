//! A full disk: it is reported as such, served models keep serving, and failed writes succeed once
//! there is room.

use std::fs::{self, File};
use std::io::Write;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde_json::json;

use crate::harness::{Server, Setup, scripted, until};

/// A small disk of one test.
pub(super) struct Disk {
    path: PathBuf,
}

impl Disk {
    /// Mounts a disk of `size` MiB. Returns `None` if mounting is not permitted.
    pub(super) fn mount(path: PathBuf, size: u64) -> Option<Disk> {
        fs::create_dir_all(&path).unwrap();
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", &format!("size={size}m"), "tmpfs"]).arg(&path);
        if mount
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .status()
            .is_ok_and(|status| status.success())
        {
            return Some(Disk { path });
        }
        eprintln!(
            "skipped: a small disk cannot be mounted here; run the tests as root, with the right to mount"
        );
        None
    }

    /// Fills the disk to the last byte, until the returned file is removed.
    pub(super) fn fill(&self) -> PathBuf {
        let path = self.path.join(".ballast");
        let mut ballast = File::create(&path).unwrap();
        for size in [1 << 16, 1] {
            while ballast.write(&vec![7; size]).is_ok_and(|written| written > 0) {}
        }
        path
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        // Lazily, because the server may still have files open there.
        let _ = Command::new("umount").arg("-l").arg(&self.path).status();
    }
}

#[test]
fn a_full_repository_refuses_uploads_but_allows_deletion() {
    let setup = Server::with_models(|_| {});
    let Some(disk) = Disk::mount(setup.models().path(""), 16) else { return };
    for version in 1..=3 {
        setup.models().version("scripted", version, scripted(&format!("version={version}")));
    }
    let server = setup.start();
    server.until_version_of("scripted", 3);
    let ballast = disk.fill();
    let refused = server.upload("scripted", 4, scripted("version=4"));
    let text = refused.refused(507, "repository_unwritable").text();
    assert!(
        text.contains("the repository cannot be written to: the disk is full; free space on it"),
        "{text}"
    );
    assert_eq!(server.version_of("scripted"), 3);
    server.remove("scripted", 1).ok();
    assert!(!server.models().path("scripted/1").exists());
    server.remove("scripted", 3).ok();
    server.until_version_of("scripted", 2);
    let hidden =
        |entry: &fs::DirEntry| entry.file_name().to_string_lossy().starts_with(".wardian-deleted");
    let left = || fs::read_dir(server.models().path("")).unwrap().flatten().filter(hidden).count();
    assert_eq!(left(), 0);
    fs::remove_file(ballast).unwrap();
    assert_eq!(server.upload("scripted", 4, scripted("version=4")).status, 201);
    assert_eq!(server.version_of("scripted"), 4);
    drop(server);
    drop(disk);
}

/// Starts a server that serves one model, with its state on a small disk.
fn with_small_state(setup: Setup) -> Option<(Server, Disk)> {
    let disk = Disk::mount(setup.state(), 24)?;
    setup.models().version("scripted", 1, scripted("version=1"));
    let server = setup.config("[tenants.default.quota]\ndata = '1GiB'\n").start();
    server.until_version_of("scripted", 1);
    Some((server, disk))
}

#[test]
fn a_full_state_directory_delays_new_versions() {
    let Some((server, disk)) = with_small_state(Server::with_models(|_| {})) else { return };
    let ballast = disk.fill();
    let says = "the disk of the state directory is full; free space on it";
    let refused = server.upload("scripted", 2, scripted("version=2"));
    assert!(refused.refused(507, "disk_full").text().contains(says), "{refused}");
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_refused("scripted", 2, &format!("disk: {says}"));
    server.models().bare("bare", scripted("version=1"));
    server.until_refused(
        "bare",
        0,
        "its version number cannot be saved in the state directory: the disk is full",
    );
    assert_eq!(server.version_of("scripted"), 1);
    fs::remove_file(ballast).unwrap();
    server.until_version_of("scripted", 2);
    server.until_version_of("bare", 1);
    drop(server);
    drop(disk);
}

#[test]
fn a_full_disk_is_not_a_quota_error() {
    let Some((server, disk)) = with_small_state(Server::with_models(|_| {})) else { return };
    let put = |key: &str, size: usize| {
        server.call("PUT", &format!("/v2/keyvalue/scripted/{key}")).body(vec![7; size]).send()
    };
    put("first", 1000).ok();
    let ballast = disk.fill();
    let refused = put("second", 500_000);
    refused.refused(503, "store_unavailable");
    server.until_logged("the disk of the state directory is full");
    assert_eq!(server.get("/v2/keyvalue/scripted").ok().json()["keys"], json!(["first"]));
    fs::remove_file(ballast).unwrap();
    until("that there is room again", || put("second", 500_000).status < 300);
    drop(server);
    drop(disk);
}

//! The artifact store: a restart compiles nothing, and a damaged artifact is never used.

use std::collections::BTreeMap;
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use crate::harness::{
    Models, Server, Setup, guest_folder, scripted, scripted_without_snapshot, until,
};

/// The log line of the scripted model's `load`, which runs only when it is compiled.
const LOADS: &str = "scripted loads version 1";

fn models(models: &Models) {
    models.bare("scripted", scripted("version=1"));
    models.copy_folder(&guest_folder("digits"), "digits/1");
}

/// A server that has compiled its models and stopped.
fn warm() -> Setup {
    let server = Server::with_models(models).compiles_anew().start();
    server.until_tried();
    server.until_logged(LOADS);
    server.stop()
}

/// Returns every file of the store, with attributes that change when it is written again.
fn files(state: &Path) -> BTreeMap<PathBuf, (u64, i64, i64)> {
    let mut files = BTreeMap::new();
    for artifact in fs::read_dir(state.join("artifacts/default")).unwrap() {
        for file in fs::read_dir(artifact.unwrap().path()).unwrap() {
            let file = file.unwrap();
            let metadata = file.metadata().unwrap();
            files.insert(file.path(), (metadata.ino(), metadata.mtime(), metadata.mtime_nsec()));
        }
    }
    files
}

#[test]
fn a_restart_compiles_nothing() {
    let setup = warm();
    let before = files(&setup.state());
    // Two models and their code, with two files each.
    assert_eq!(before.len(), 8, "{before:?}");
    let server = setup.start();
    server.until_tried();
    assert_eq!(server.version_of("scripted"), 1);
    server.until_ready("digits", 1);
    assert_eq!(files(&server.state()), before);
    assert!(!server.log().contains(LOADS));
}

#[test]
fn a_damaged_artifact_is_compiled_again() {
    let setup = warm();
    let before = files(&setup.state());
    for file in before.keys() {
        damage(file);
    }
    let server = setup.start();
    server.until_tried();
    assert_eq!(server.version_of("scripted"), 1);
    server.until_ready("digits", 1);
    server.until_logged("removing a damaged artifact");
    server.until_logged(LOADS);
    let after = files(&server.state());
    assert!(after.keys().eq(before.keys()), "{after:?}");
    assert!(after.values().all(|file| !before.values().any(|old| old == file)), "{after:?}");
}

#[test]
fn unfinished_artifacts_are_removed() {
    let setup = warm();
    let unfinished = setup.state().join("artifacts/default/unfinished-killed");
    fs::create_dir(&unfinished).unwrap();
    fs::write(unfinished.join("model.cwasm"), "half of it").unwrap();
    let server = setup.start();
    server.until_ready("scripted", 1);
    assert!(!unfinished.exists());
}

#[test]
fn the_store_is_private() {
    let setup = warm();
    let store = setup.state().join("artifacts");
    fs::set_permissions(&store, Permissions::from_mode(0o777)).unwrap();
    let server = setup.start();
    server.until_ready("scripted", 1);
    assert_eq!(fs::metadata(&store).unwrap().mode() & 0o777, 0o700);
}

#[test]
fn models_with_the_same_component_share_one_artifact() {
    let server = Server::with_models(|models| {
        (1..=5)
            .for_each(|number| models.bare(&format!("scripted-{number}"), scripted("version=1")));
        models.bare("other", scripted_without_snapshot("version=1"));
    })
    .compiles_anew()
    .start();
    server.until_tried();
    (1..=5).for_each(|number| assert_eq!(server.version_of(&format!("scripted-{number}")), 1));
    until("a state, its code, and a whole component", || {
        fs::read_dir(server.state().join("artifacts/default")).unwrap().count() == 3
    });
}

fn damage(file: &Path) {
    let mut content = fs::read(file).unwrap();
    let middle = content.len() / 2;
    content[middle] ^= 0x55;
    fs::set_permissions(file, Permissions::from_mode(0o600)).unwrap();
    fs::write(file, content).unwrap();
}

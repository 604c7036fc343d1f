//! `prune` in `model.toml`: old versions are deleted from the repository.

use std::fs;
use std::os::unix::fs::symlink;

use serde_json::json;

use super::however_watched;
use crate::harness::{Models, Server, scripted, scripted_interceptor, until, version_path};

const QUICK: &str = "settle = '20ms'";

/// Adds these versions of the scripted model.
fn add(models: &Models, versions: impl IntoIterator<Item = u64>) {
    for version in versions {
        models.version("scripted", version, scripted(&format!("version={version}")));
    }
}

/// Returns the versions in the repository.
fn stored(server: &Server) -> Vec<u64> {
    let entries = fs::read_dir(server.models().path("scripted")).unwrap();
    let numbers = entries.filter_map(|entry| entry.unwrap().file_name().to_str()?.parse().ok());
    let mut numbers: Vec<_> = numbers.collect();
    numbers.sort_unstable();
    numbers
}

#[test]
fn old_versions_are_deleted_and_the_newest_stay() {
    however_watched(
        |models| {
            models.settings("scripted", "prune = 2");
            add(models, 1..=4);
        },
        |server| {
            server.until_version_of("scripted", 4);
            until("that two versions are left", || stored(&server) == [3, 4]);
            // One, or more if the first look came before version 4 had settled.
            let loads = || server.metric("wardian_loads_total").unwrap();
            let before = loads();
            add(server.models(), [5]);
            server.until_version_of("scripted", 5);
            until("that version 3 is gone", || stored(&server) == [4, 5]);
            until("that nothing is told of it", || server.entry("scripted", 3).is_none());
            until("that 3 versions are counted", || {
                server.metric("wardian_pruned_versions_total") == Some(3.0)
            });
            assert_eq!(server.metric("wardian_prune_failures_total"), Some(0.0));
            assert_eq!(server.config_of("scripted")["wardian"]["prune"], json!({ "newest": 2 }));

            // Version 5 is replaced by the one that is left.
            server.models().remove("scripted/5");
            server.until_version_of("scripted", 4);
            assert_eq!(loads(), before + 2.0);
        },
    );
}

#[test]
fn a_version_is_deleted_after_its_last_request() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "prune = 1\n[limits]\ndeadline = '10m'");
        add(models, [1]);
    })
    .config(QUICK)
    .start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    add(server.models(), [2, 3]);
    server.until_version_of("scripted", 3);
    server.until_state("scripted", 1, "UNLOADING");
    until("that version 2 is gone", || stored(&server) == [1, 3]);

    endless.hang_up();
    until("that version 1 is gone", || stored(&server) == [3]);
    assert_eq!(server.metric("wardian_request_failures_total{reason=\"trap\"").unwrap_or(0.0), 0.0);
}

#[test]
fn a_failed_version_deletes_none() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "prune = 1");
        add(models, [1]);
    })
    .config(QUICK)
    .start();
    server.until_version_of("scripted", 1);
    server.models().version("scripted", 2, scripted("load=fail"));
    server.until_refused("scripted", 2, "load: ");
    server.models().put("scripted/3/model.onnx", "not a model");
    server.until_unavailable("scripted", 3);
    assert_eq!((stored(&server), server.version_of("scripted")), (vec![1, 2, 3], 1));

    add(server.models(), [4]);
    server.until_version_of("scripted", 4);
    until("that the others are gone", || stored(&server) == [4]);
}

#[test]
fn versions_are_deleted_some_time_after_they_were_replaced() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "prune = '2s'");
        add(models, [1]);
    })
    .config(QUICK)
    .start();
    server.until_version_of("scripted", 1);
    add(server.models(), [2]);
    server.until_version_of("scripted", 2);
    let prune = json!({ "replaced_ms": 2000 });
    assert_eq!(server.config_of("scripted")["wardian"]["prune"], prune);
    until("that version 1 is gone", || stored(&server) == [2]);
    let replaced = fs::metadata(server.models().path("scripted/2")).unwrap().modified().unwrap();
    assert!(replaced.elapsed().unwrap().as_secs() >= 2);

    server.models().settings("scripted", "prune = '1h'");
    add(server.models(), [3]);
    server.until_version_of("scripted", 3);
    server.unload("scripted").ok();
    server.load("scripted").ok();
    assert_eq!(stored(&server), [2, 3]);
}

#[test]
fn a_version_that_cannot_be_deleted_is_shown_and_tried_again() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "prune = 1");
        add(models, [2]);
        // A folder that the repository reads, and from which nothing is deleted.
        models.put("kept/model.wasm", scripted("version=1"));
        symlink("../kept", models.path("scripted/1")).unwrap();
    })
    .config(QUICK)
    .start();
    server.until_version_of("scripted", 2);
    server.until_refused(
        "scripted",
        1,
        "not wanted by the version policy; it cannot be pruned: scripted/1 is a symbolic link",
    );
    server.until_refused("scripted", 1, "or remove `prune` from scripted/model.toml");
    server.until_logged("cannot be pruned");
    assert!(server.metric("wardian_prune_failures_total") >= Some(1.0));
    assert_eq!(server.version_of("scripted"), 2);
    add(server.models(), [3]);
    server.until_version_of("scripted", 3);

    fs::remove_file(server.models().path("scripted/1")).unwrap();
    add(server.models(), [1]);
    server.load("scripted").ok();
    until("that both are gone", || stored(&server) == [3]);
    assert!(server.models().path("kept/model.wasm").exists());
}

#[test]
fn versions_that_the_settings_name_are_not_deleted() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "versions = [1, 4]\nprune = 1");
        add(models, 1..=5);
    })
    .config(QUICK)
    .start();
    server.until_ready("scripted", 1);
    server.until_ready("scripted", 4);
    until("that the others are gone", || stored(&server) == [1, 4, 5]);
}

#[test]
fn a_server_can_be_told_to_delete_nothing() {
    let server = Server::with_models(|models| {
        models.settings("scripted", "prune = 1");
        add(models, [1, 2]);
    })
    .config("settle = '20ms'\nprune = false")
    .start();
    server.until_version_of("scripted", 2);
    add(server.models(), [3]);
    server.until_version_of("scripted", 3);
    until("that version 2 is unloaded", || {
        server.entry("scripted", 2).is_some_and(|entry| entry.state == "UNAVAILABLE")
    });
    assert_eq!(stored(&server), [1, 2, 3]);
}

#[test]
fn settings_that_cannot_be_followed_are_refused() {
    let server = Server::with_models(|models| add(models, [1])).config(QUICK).start();
    server.until_version_of("scripted", 1);
    for (settings, says) in [
        ("prune = 0", "model.toml line 1: prune: 0 is not between 1 and 100000"),
        ("prune = 'a week'", "prune: 'a week' is not a duration like"),
        ("prune = 2\nversions = { latest = 3 }", "prune: 2 is less than the 3 versions"),
        ("prune = 2\nversions = 'all'", "write `versions = { latest = 3 }`, or remove `prune`"),
    ] {
        server.models().settings("scripted", settings);
        server.until_refused("scripted", 0, says);
        assert_eq!(server.version_of("scripted"), 1);
    }
}

#[test]
fn interceptors_are_pruned() {
    let audit = |version: u64| scripted_interceptor(&format!("name=audit{version}"));
    let server = Server::with_models(|models| {
        models.settings("interceptors/audit", "prune = 1");
        (1..=3).for_each(|version| models.version("interceptors/audit", version, audit(version)));
        add(models, [1]);
    })
    .config(QUICK)
    .start();
    server.until_ready("interceptors/audit", 3);
    server.until_version_of("scripted", 1);
    let exists = |version| server.models().path(&format!("interceptors/audit/{version}")).exists();
    until("that the older ones are gone", || !exists(1) && !exists(2));
    assert!(exists(3));
}

/// Uploads versions while others are deleted, and asks all the time.
#[test]
fn pruning_and_uploading_do_not_disturb_each_other() {
    let server = Server::with_models(|models| models.settings("scripted", "prune = 2"))
        .config(QUICK)
        .start();
    for version in 1..=8 {
        let uploaded = server.upload("scripted", version, scripted(&format!("version={version}")));
        assert_eq!((uploaded.status, &uploaded.json()["state"]), (201, &json!("READY")));
        assert_eq!(server.version_of("scripted"), version as i64);
    }
    until("that two versions are left", || stored(&server) == [7, 8]);

    // An old number is taken, and deleted again.
    let uploaded = server.upload("scripted", 3, scripted("version=3"));
    assert_eq!((uploaded.status, &uploaded.json()["version"]), (201, &json!("3")));
    until("that version 3 is gone", || stored(&server) == [7, 8]);
    server.call("DELETE", &version_path("scripted", 3)).send().refused(404, "model_not_found");
    assert_eq!(server.version_of("scripted"), 8);
    assert_eq!(server.metric("wardian_request_failures_total").unwrap_or(0.0), 0.0);
}

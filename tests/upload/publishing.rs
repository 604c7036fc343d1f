//! Uploads that end in the repository, and their outcome.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};

use super::{ask_until, assert_ready, until_clean};
use crate::harness::{Server, guest, scripted, version_path};

#[test]
fn an_uploaded_version_serves_at_once() {
    let server = Server::empty();
    let (one, two) = (scripted("version=1"), scripted("version=2"));
    assert_ready(&server.upload("scripted", 1, one.clone()), 201, "scripted", 1, &one);
    assert_eq!(server.version_of("scripted"), 1);
    let chunked =
        server.call("PUT", &version_path("scripted", 2)).body(two.clone()).chunked().send();
    assert_ready(&chunked, 201, "scripted", 2, &two);
    assert_eq!(server.version_of("scripted"), 2);
    assert_eq!(fs::read(server.models().path("scripted/1/model.wasm")).unwrap(), one);
    assert_eq!(fs::read(server.models().path("scripted/2/model.wasm")).unwrap(), two);
    until_clean(&server);
    // It is a file like any other, so a restart finds it.
    let server = server.stop().start();
    server.until_version_of("scripted", 2);
}

#[test]
fn identical_content_changes_nothing() {
    let server = Server::empty();
    let (one, two) = (scripted("version=1"), scripted("version=2"));
    assert_ready(&server.upload("scripted", 7, one.clone()), 201, "scripted", 7, &one);
    assert_ready(&server.upload("scripted", 7, two.clone()), 200, "scripted", 7, &two);
    assert_eq!(server.version_of("scripted"), 2);
    let file =
        || fs::metadata(server.models().path("scripted/7/model.wasm")).unwrap().modified().unwrap();
    let (changed, loads) = (file(), server.metric("wardian_loads_total"));
    assert_ready(&server.upload("scripted", 7, two.clone()), 200, "scripted", 7, &two);
    assert_eq!((file(), server.metric("wardian_loads_total")), (changed, loads));
    until_clean(&server);
}

#[test]
fn swaps_by_upload_fail_no_request() {
    let server = Server::empty();
    server.upload("scripted", 1, scripted("version=1"));
    let (done, server) = (AtomicBool::new(false), &server);
    std::thread::scope(|scope| {
        let clients: Vec<_> = (0..4).map(|_| scope.spawn(|| ask_until(server, &done))).collect();
        for version in 2..=6 {
            let component = scripted(&format!("version={version}"));
            // Alternately beside the previous version, and in its place.
            let response = server.upload("scripted", version / 2 * 2, component);
            assert!(response.status < 300, "{response}");
            assert_eq!(server.version_of("scripted"), version as i64);
        }
        done.store(true, Ordering::Relaxed);
        clients.into_iter().for_each(|client| assert!(client.join().unwrap() > 0));
    });
    assert_eq!(server.metric("wardian_request_failures_total"), Some(0.0));
}

#[test]
fn a_version_that_cannot_serve_is_refused() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.put("scripted/1/golden.json", GOLDEN);
    })
    .config("[compile]\nload_deadline = '2s'")
    .start();
    server.until_version_of("scripted", 1);
    let before = fs::read(server.models().path("scripted/1/model.wasm")).unwrap();
    for (script, version, says) in [
        ("load=fail", 2, "load: load failed: the weights are corrupt"),
        ("warm=trap", 2, "warm-up: "),
        ("load=spin", 2, "load: "),
        ("version=2", 1, "golden: "),
    ] {
        let refused = server.upload("scripted", version, scripted(script));
        refused.refused(422, "load_failed");
        assert!(
            refused.text().contains(&format!("model 'scripted' version {version}: {says}")),
            "{refused}"
        );
    }
    assert_eq!(server.version_of("scripted"), 1);
    assert_eq!(fs::read(server.models().path("scripted/1/model.wasm")).unwrap(), before);
    assert_eq!(server.entry("scripted", 2), None);
    // A refused first upload leaves no empty folder.
    server.upload("other", 1, scripted("load=fail")).refused(422, "load_failed");
    assert!(!server.models().path("other").exists());
    assert!(server.upload("scripted", 2, scripted("version=2")).status == 201);
    until_clean(&server);
}

const GOLDEN: &str = r#"{"cases": [{"request": {"inputs": []},
    "response": {"outputs": [{"name": "version", "datatype": "INT64", "shape": [1], "data": [1]}]}}]}"#;

#[test]
fn existing_settings_and_sidecars_apply() {
    let folder = crate::harness::guest_folder("digits");
    let server = Server::with_models(|models| {
        models.copy_folder(&folder, "digits/1");
        models.remove("digits/1/model.wasm");
        models.settings("digits", "isolation = 'pooled'");
    })
    .start();
    server.until_tried();
    let component = guest("digits");
    assert_ready(&server.upload("digits", 1, component.clone()), 201, "digits", 1, &component);
    assert_eq!(server.config_of("digits")["wardian"]["isolation"], "pooled");
    // The sidecars belong to another version.
    let alone = server.upload("digits", 2, component);
    assert!(alone.refused(422, "load_failed").text().contains("load: "), "{alone}");
}

#[test]
fn an_unwanted_version_is_uploaded_without_serving() {
    let server = Server::empty();
    server.upload("scripted", 2, scripted("version=2"));
    let older = server.upload("scripted", 1, scripted("version=1"));
    assert_eq!((older.status, &older.json()["state"]), (201, &"UNAVAILABLE".into()));
    assert_eq!(older.json()["reason"], "not wanted by the version policy");
    assert_eq!(server.version_of("scripted"), 2);
    server.unload("scripted").ok();
    let unloaded = server.upload("scripted", 3, scripted("version=3"));
    assert_eq!((unloaded.status, &unloaded.json()["reason"]), (201, &"unloaded on request".into()));
    server.load("scripted").ok();
    assert_eq!(server.version_of("scripted"), 3);
}

#[test]
fn a_removed_version_drains() {
    let server = Server::empty();
    server.upload("scripted", 1, scripted("version=1"));
    server.upload("scripted", 2, scripted("version=2"));
    let slow = server.begin_behave("scripted", "slow:300");
    server.until_busy("scripted", 1);
    let removed = server.remove("scripted", 2);
    let reason = "deleted; it serves until version 1 has loaded";
    let expected = serde_json::json!({ "name": "scripted", "version": "2", "state": "READY", "reason": reason });
    assert_eq!(removed.ok().json(), expected);
    assert_eq!(slow.answer().number("version"), 2);
    server.until_version_of("scripted", 1);
    server.remove("scripted", 2).refused(404, "model_not_found");
    server.remove("scripted", 1).ok();
    server.until_gone("scripted");
    server.behave("scripted", "ok").refused(404, "model_not_found");
    assert!(!server.models().path("scripted").exists());
    server.remove("scripted", 1).refused(404, "model_not_found");
    until_clean(&server);
}

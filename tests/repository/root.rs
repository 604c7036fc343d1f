//! A repository root that vanishes, returns, or never existed.

use std::fs;

use super::{however_watched, watched_by};
use crate::harness::{Models, scripted, until};

fn one(models: &Models) {
    models.bare("scripted", scripted("version=1"));
}

#[test]
fn models_keep_serving_without_the_root() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        let (root, away) = (server.models().path(""), server.directory().join("away"));
        fs::rename(&root, &away).unwrap();
        server.until_logged("repository is degraded; serving versions stay");
        let degraded = || server.get("/v2/health/ready").ok().json()["degraded"].is_string();
        until("that the server says so", degraded);
        assert_eq!(server.version_of("scripted"), 1);
        fs::rename(&away, &root).unwrap();
        server.until_logged("repository is readable again");
        until("that the server says so no more", || !degraded());
        assert_eq!(server.version_of("scripted"), 1);
        server.models().bare("scripted", scripted("version=2"));
        server.until_version_of("scripted", 2);
    });
}

#[test]
fn a_recreated_root_is_accepted() {
    however_watched(one, |server| {
        server.until_version_of("scripted", 1);
        let root = server.models().path("");
        fs::remove_dir_all(&root).unwrap();
        fs::create_dir(&root).unwrap();
        server.until_gone("scripted");
        server.models().bare("scripted", scripted("version=2"));
        server.until_version_of("scripted", 2);
    });
}

#[test]
fn a_root_created_after_start_is_served() {
    let setup = watched_by("events", |_| {});
    fs::remove_dir(setup.models().path("")).unwrap();
    let server = setup.start();
    server.until_logged("repository is degraded");
    server.get("/v2/health/live").ok();
    assert_eq!(server.get("/v2/health/ready").status, 503);
    let beside = server.directory().join("mounted");
    fs::create_dir(&beside).unwrap();
    fs::write(beside.join("scripted.wasm"), scripted("version=1")).unwrap();
    fs::rename(beside, server.models().path("")).unwrap();
    server.until_version_of("scripted", 1);
    server.until_tried();
}

//! Symbolic links: the volume swap of Kubernetes, and targets that must not be reached.

use std::fs;
use std::os::unix::fs::symlink;

use super::however_watched;
use crate::harness::{Models, Server, scripted};

/// A volume as Kubernetes mounts it: the files are in a dated folder, `..data` links there, and the
/// names link through it.
fn mount(models: &Models) {
    models.put("..2026_01/scripted.wasm", scripted("version=1"));
    symlink("..2026_01", models.path("..data")).unwrap();
    symlink("..data/scripted.wasm", models.path("scripted.wasm")).unwrap();
}

#[test]
fn a_kubernetes_volume_swap_replaces_the_model() {
    however_watched(mount, |server| {
        server.until_version_of("scripted", 1);
        let models = server.models();
        models.put("..2026_02/scripted.wasm", scripted("version=2"));
        symlink("..2026_02", models.path("..data_tmp")).unwrap();
        fs::rename(models.path("..data_tmp"), models.path("..data")).unwrap();
        models.remove("..2026_01");
        server.until_version_of("scripted", 2);
        server.until_ready("scripted", 2);
    });
}

#[test]
fn a_link_out_of_the_repository_is_refused() {
    let server = Server::empty();
    let outside = server.directory().join("outside.wasm");
    fs::write(&outside, scripted("")).unwrap();
    symlink(&outside, server.models().path("scripted.wasm")).unwrap();
    server.until_refused("scripted", 0, "a link that leaves the repository");
    symlink("nowhere.wasm", server.models().path("dangling.wasm")).unwrap();
    server.until_refused("dangling", 0, "a link that leads nowhere");
}

#[test]
fn a_version_may_link_within_the_repository() {
    let server = Server::with_models(|models| {
        models.put(".store/a/model.wasm", scripted("version=5"));
        fs::create_dir(models.path("scripted")).unwrap();
        symlink("../.store/a", models.path("scripted/1")).unwrap();
    })
    .start();
    server.until_version_of("scripted", 5);
}

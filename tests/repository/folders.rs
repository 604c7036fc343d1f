//! A model folder with numbered versions, settings and sidecar files.

use serde_json::json;

use super::however_watched;
use crate::harness::{Models, Server, guest, guest_folder, scripted};

fn two_versions(models: &Models) {
    models.version("scripted", 1, scripted("version=1"));
    models.version("scripted", 2, scripted("version=2"));
}

#[test]
fn a_new_version_replaces_the_old_one() {
    however_watched(
        |models| models.version("scripted", 1, scripted("version=1")),
        |server| {
            server.until_version_of("scripted", 1);
            server.models().version("scripted", 2, scripted("version=2"));
            server.until_version_of("scripted", 2);
            server.until_refused("scripted", 1, "not wanted by the version policy");
            server.get("/v2/models/scripted/versions/1").refused(404, "model_not_found");
            server.get("/v2/models/scripted/versions/2").ok();
        },
    );
}

#[test]
fn removing_the_newest_version_restores_the_older() {
    however_watched(two_versions, |server| {
        server.until_version_of("scripted", 2);
        server.models().remove("scripted/2");
        server.until_version_of("scripted", 1);
        server.models().remove("scripted");
        server.until_gone("scripted");
    });
}

#[test]
fn a_versions_content_can_be_replaced() {
    however_watched(two_versions, |server| {
        server.until_version_of("scripted", 2);
        server.models().version("scripted", 2, scripted("version=22"));
        server.until_version_of("scripted", 22);
        server.until_ready("scripted", 2);
    });
}

#[test]
fn a_version_without_component_is_reported() {
    let server =
        Server::with_models(|models| models.version("scripted", 1, scripted("version=1"))).start();
    server.until_version_of("scripted", 1);
    server.models().put("scripted/2/notes.txt", "soon");
    server.until_refused("scripted", 2, "no model.wasm or model file in it yet");
    assert_eq!(server.version_of("scripted"), 1);
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_version_of("scripted", 2);
}

#[test]
fn a_missing_sidecar_delays_the_load() {
    let digits = guest_folder("digits");
    let server = Server::with_models(|models| {
        models.copy_folder(&digits, "digits/1");
        models.remove("digits/1/weights.bin");
    })
    .start();
    let reason = server.until_unavailable("digits", 1);
    assert!(reason.contains("load failed") && reason.contains("weights.bin"), "{reason}");
    server.models().put("digits/1/weights.bin", std::fs::read(digits.join("weights.bin")).unwrap());
    server.until_ready("digits", 1);
}

#[test]
fn a_name_used_twice_is_refused() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.bare("scripted", scripted("version=2"));
    })
    .start();
    server.until_refused("scripted", 0, "both scripted.wasm and scripted/ exist");
    server.models().remove("scripted");
    server.until_version_of("scripted", 2);
}

#[test]
fn invalid_model_names_are_logged() {
    let server = Server::with_models(|models| {
        models.bare("good", guest("minimal"));
        models.put("not a name.wasm", "");
        models.put("scripted.toml", "");
        models.put("interceptors/1/model.wasm", "");
        models.put("good.md", "");
    })
    .start();
    server.until_ready("good", 1);
    server.until_logged("'not a name.wasm' is ignored");
    server.until_logged("settings go into scripted/model.toml");
    assert_eq!(server.get("/v2/models").json(), json!({ "models": ["good"] }));
    assert_eq!(server.index().len(), 1);
}

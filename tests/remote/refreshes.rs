//! Refreshes: objects in the store come to be served, and unchanged objects are not fetched again.

use serde_json::json;

use super::store::Bucket;
use super::{OFTEN, SELDOM, fetched, refresh, serving, until_degraded};
use crate::harness::{guest, guest_folder, scripted, until, version_path};

#[test]
fn models_load_from_a_bucket() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("models/scripted.wasm", scripted("version=1"));
    bucket.put("models/numbered/model.toml", "versions = 'all'");
    bucket.put("models/numbered/1/model.wasm", scripted("version=1"));
    bucket.put("models/numbered/2/model.wasm", scripted("version=2"));
    bucket.put_folder(&guest_folder("digits"), "models/digits/1");
    bucket.put("models/README.md", "not a model");
    bucket.put("elsewhere/other.wasm", scripted("version=1"));
    let server = bucket.serve("models", SELDOM).start();
    server.until_tried();
    for (model, version) in [("scripted", 1), ("numbered", 1), ("numbered", 2), ("digits", 1)] {
        server.until_ready(model, version);
    }
    assert_eq!(server.index().len(), 4);
    until_degraded(&server, "");
    assert!(server.metric("wardian_repository_refreshes_total").unwrap() >= 1.0);
    assert!(server.metric("wardian_repository_refreshed_timestamp_seconds").unwrap() > 1.7e9);
}

#[test]
fn only_changed_objects_are_fetched() {
    let Some((bucket, server)) = serving(OFTEN) else { return };
    // The component comes last and makes it a version.
    bucket.put("models/numbered/1/large.bin", vec![7; 1 << 20]);
    bucket.put("models/numbered/1/model.wasm", scripted("version=1"));
    server.until_version_of("numbered", 1);
    let before = fetched(&server);
    let changed = scripted("version=2");
    bucket.put("models/numbered/1/model.wasm", &changed);
    server.until_version_of("numbered", 2);
    assert_eq!(fetched(&server) - before, changed.len() as f64, "the sidecar has not changed");
    bucket.put("models/scripted.wasm", scripted("version=2"));
    server.until_version_of("scripted", 2);
    assert_eq!(fetched(&server) - before, 2.0 * changed.len() as f64);
    bucket.delete("models/scripted.wasm");
    server.until_gone("scripted");
    server.until_version_of("numbered", 2);
}

#[test]
fn a_restart_uses_the_mirror() {
    let Some((bucket, server)) = serving(OFTEN) else { return };
    let setup = server.stop();
    bucket.proxy.shut();
    let server = setup.start();
    server.until_version_of("scripted", 1);
    server.until_tried();
    until_degraded(&server, "cannot be listed");
    bucket.proxy.open();
    until_degraded(&server, "");
    assert_eq!(fetched(&server), 0.0);
    bucket.put("models/scripted.wasm", scripted("version=2"));
    server.until_version_of("scripted", 2);
}

#[test]
fn a_refresh_runs_on_request() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    bucket.put("models/scripted.wasm", scripted("version=2"));
    bucket.put("models/other.wasm", scripted("version=3"));
    refresh(&server);
    server.until_version_of("scripted", 2);
    server.until_version_of("other", 3);
    bucket.put("models/scripted.wasm", scripted("version=4"));
    server.load("scripted").ok();
    assert_eq!(server.version_of("scripted"), 4);
    assert_eq!(server.load("nothing").status, 404);
    server
        .call("POST", "/v2/repository/refresh")
        .body("{\"what\": 1}")
        .send()
        .refused(400, "invalid_input");
}

#[test]
fn a_version_serves_once_it_is_complete() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    let folder = guest_folder("digits");
    let file = |name: &str| std::fs::read(folder.join(name)).unwrap();
    bucket.put("models/digits/1/weights.bin", file("weights.bin"));
    let told = server.call("POST", "/v2/repository/refresh").send();
    assert!(
        told.refused(503, "repository_degraded")
            .text()
            .contains("digits/1: no model.wasm or model file in it yet"),
        "{told}"
    );
    bucket.delete("models/digits/1/weights.bin");
    bucket.put("models/digits/1/model.wasm", file("model.wasm"));
    refresh(&server);
    server.until_unavailable("digits", 1);
    bucket.put("models/digits/1/weights.bin", file("weights.bin"));
    refresh(&server);
    server.until_ready("digits", 1);
}

#[test]
fn live_configuration_changes_without_a_load() {
    let Some(bucket) = Bucket::new() else { return };
    bucket.put("models/http-caller/model.toml", "[capabilities]\nhttp = ['http://127.0.0.1:1']");
    bucket.put("models/http-caller/1/model.wasm", guest("http-caller"));
    let server = bucket.serve("models", SELDOM).start();
    server.until_ready("http-caller", 1);
    bucket.put("models/http-caller/config.toml", "word = 'live'");
    refresh(&server);
    until("that the word is there", || {
        let asks = json!({ "name": "asks", "datatype": "BYTES", "shape": [0], "data": [] });
        let answer = server.infer("http-caller", &json!({ "inputs": [asks] })).ok().json();
        answer["parameters"]["word"] == "live"
    });
    assert_eq!(server.metric("wardian_loads_total"), Some(1.0));
}

#[test]
fn uploads_to_a_remote_repository_are_refused() {
    let Some((bucket, server)) = serving(SELDOM) else { return };
    for response in
        [server.upload("scripted", 2, scripted("version=2")), server.remove("scripted", 1)]
    {
        let told = response.refused(409, "repository_is_remote").text();
        assert!(
            told.contains(&bucket.url("models")) && told.contains("/v2/repository/refresh"),
            "{told}"
        );
    }
    server.call("PUT", &version_path("no name", 1)).body("x").send();
    until("that it serves still", || server.version_of("scripted") == 1);
}

//! The load and unload commands.

use serde_json::json;

use crate::harness::{Server, scripted};

#[test]
fn an_unloaded_model_stays_unloaded() {
    let server =
        Server::with_models(|models| models.version("scripted", 1, scripted("version=1"))).start();
    server.until_version_of("scripted", 1);
    server.unload("scripted").ok();
    let refused = server.behave("scripted", "ok");
    refused.refused(503, "model_not_ready");
    assert!(refused.text().contains("it was unloaded on request"), "{refused}");
    server.until_refused("scripted", 1, "unloaded on request");
    server.unload("scripted").ok();
    // New content does not load it again.
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_refused("scripted", 2, "unloaded on request");
    // A load command does, with the newest content.
    server.load("scripted").ok();
    assert_eq!(server.version_of("scripted"), 2);
}

#[test]
fn loading_answers_when_the_model_serves() {
    let server = Server::empty();
    server.until_tried();
    for version in 1..=3 {
        server.models().bare("scripted", scripted(&format!("version={version}")));
        server.load("scripted").ok();
        assert_eq!(server.version_of("scripted"), version);
    }
    // A version that serves is not loaded again.
    server.load("scripted").ok();
    for name in ["loads", "swaps"] {
        assert_eq!(
            server.metric(&format!("wardian_{name}_total{{tenant=\"default\"}}")),
            Some(3.0),
            "{name}"
        );
    }
}

#[test]
fn a_failed_load_command_returns_the_reason() {
    let server =
        Server::with_models(|models| models.bare("scripted", scripted("load=fail"))).start();
    let refused = server.load("scripted");
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("load failed: the weights are corrupt"), "{refused}");
    server.models().write_in_place("scripted.wasm", "no component");
    let refused = server.load("scripted");
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("not WebAssembly"), "{refused}");
}

#[test]
fn commands_for_an_unknown_model_are_refused() {
    let server = Server::empty();
    server.until_tried();
    for name in ["nobody", "..%2f..%2fetc", "a b"] {
        let name = name.replace(' ', "%20");
        server.load(&name).refused(404, "model_not_found");
        server.unload(&name).refused(404, "model_not_found");
    }
    server.behave("nobody", "ok").refused(404, "model_not_found");
    let path = "/v2/repository/models/scripted/load";
    let smuggled = json!({ "parameters": { "config": "{}", "file:1/model.wasm": "AAAA" } });
    server.post(path, &smuggled).refused(400, "invalid_input");
}

#[test]
fn the_index_can_list_serving_versions_only() {
    let server = Server::with_models(|models| {
        models.bare("good", scripted("version=1"));
        models.bare("bad", scripted("load=fail"));
    })
    .start();
    server.until_tried();
    let serving = server.post("/v2/repository/index", &json!({ "ready": true })).ok().json();
    assert_eq!(
        serving,
        json!([{ "name": "good", "version": "1", "state": "READY", "reason": "" }])
    );
    assert_eq!(server.index().len(), 2);
    assert_eq!(server.get("/v2/models").json(), json!({ "models": ["bad", "good"] }));
}

//! The model repository extension.

use serde_json::json;

use super::{serve, shared, upper};

#[test]
fn the_index_lists_versions_with_reasons() {
    let server = shared();
    let upper = server.entry("upper", 1).unwrap();
    assert_eq!((upper.state.as_str(), upper.reason.as_str()), ("READY", ""));
    let broken = server.entry("broken", 1).unwrap();
    assert_eq!(broken.state, "UNAVAILABLE");
    assert!(broken.reason.contains("load failed: the weights are corrupt"), "{}", broken.reason);
    let ready = server.post("/v2/repository/index", &json!({ "ready": true })).ok().json();
    let names: Vec<_> =
        ready.as_array().unwrap().iter().map(|entry| entry["name"].clone()).collect();
    assert_eq!(names, ["iris", "scripted", "upper"]);
    // Stock clients send no body.
    server.call("POST", "/v2/repository/index").send().ok();
}

#[test]
fn models_are_loaded_and_unloaded() {
    let server = serve();
    server.load("upper").ok();
    server.unload("upper").ok();
    server.infer("upper", &upper(&["a"])).refused(503, "model_not_ready");
    server.unload("upper").ok();
    assert_eq!(server.until_unavailable("upper", 1), "unloaded on request");
    server.load("upper").ok();
    server.infer("upper", &upper(&["a"])).ok();
    let failed = server.load("broken");
    assert!(failed.refused(422, "load_failed").text().contains("load: load failed"), "{failed}");
}

#[test]
fn invalid_repository_commands_are_refused() {
    let server = shared();
    for name in ["nobody", "..%2f..", "%2e%2e"] {
        server.load(name).refused(404, "model_not_found");
        server.unload(name).refused(404, "model_not_found");
    }
    for parameters in [json!({ "config": "{}" }), json!({ "file:1/model.wasm": "AA==" })] {
        let body = json!({ "parameters": parameters });
        server.post("/v2/repository/models/upper/load", &body).refused(400, "invalid_input");
    }
    let body = json!({ "parameters": { "unload_dependents": false } });
    server.post("/v2/repository/models/nobody/unload", &body).refused(404, "model_not_found");
    for path in ["index", "refresh", "models/upper/load", "models/upper/unload"] {
        let path = format!("/v2/repository/{path}");
        for body in [
            "[]",
            "[true]",
            "null",
            "{\"x\":1}",
            "{} {}",
            "{\"parameters\":[]}",
            "{\"parameters\":{\"x\":1}}",
        ] {
            let refused = server.call("POST", &path).body(body).send();
            let text = refused.refused(400, "invalid_input").text();
            assert!(!text.contains("struct") && !text.contains('`'), "{path} {body}: {text}");
        }
    }
    for path in ["/v2/repository/mine/index", "/v2/repository/mine/models/upper/load"] {
        server.post(path, &json!({})).refused(501, "unsupported");
    }
}

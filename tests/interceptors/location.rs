//! The location and the names of interceptors, and the routes that do not accept them.

use serde_json::json;

use super::{add_interceptor, ask, indexed, trail, with_interceptors};
use crate::harness::{Server, guest, scripted, scripted_interceptor};

#[test]
fn interceptors_cannot_be_called() {
    let server = with_interceptors(&["a"]);
    for name in ["a", "interceptors%2Fa", "interceptors/a", "interceptors"] {
        let path = |rest: &str| format!("/v2/models/{name}{rest}");
        for rest in ["", "/ready", "/config", "/versions/1", "/versions/1/ready"] {
            assert_eq!(server.get(&path(rest)).status, 404, "{name}{rest}");
        }
        for rest in ["/infer", "/versions/1/infer"] {
            assert_eq!(
                server.post(&path(rest), &json!({ "inputs": [] })).status,
                404,
                "{name}{rest}"
            );
        }
    }
    let invocation = server
        .call("POST", "/invocations")
        .header("x-amzn-sagemaker-target-model", "interceptors/a");
    invocation.json(&json!({ "inputs": [] })).send().refused(404, "model_not_found");
    assert_eq!(server.get("/v2/models").json(), json!({ "models": ["scripted"] }));
}

#[test]
fn the_index_lists_interceptors() {
    let server = with_interceptors(&["a"]);
    assert_eq!(server.entry(&indexed("a"), 1).unwrap().state, "READY");
    server.load("interceptors%2Fa").ok();
    let refused = server.unload("interceptors%2Fa");
    refused.refused(400, "invalid_input");
    assert!(refused.text().contains("remove its file"), "{refused}");
    assert_eq!(server.load("interceptors%2Fb").status, 404);
    assert_eq!(server.upload("interceptors%2Fa", 2, scripted_interceptor("")).status, 400);
    assert_eq!(trail(&ask(&server, &json!({}))), "a a");
}

#[test]
fn an_interceptor_may_have_versions_and_settings() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted("version=1"));
        models.settings(
            "interceptors/a",
            "isolation = 'pooled'\n[instances]\nmin = 1\nidle_timeout = '10ms'",
        );
        models.version("interceptors/a", 1, scripted_interceptor("name=old"));
        models.version("interceptors/a", 2, scripted_interceptor("name=new"));
    })
    .start();
    server.until_ready("scripted", 1);
    (0..5).for_each(|_| assert_eq!(trail(&ask(&server, &json!({}))), "new new"));
    server.models().remove("interceptors/a/2");
    crate::harness::until("the older version", || trail(&ask(&server, &json!({}))) == "old old");
}

#[test]
fn a_misplaced_component_is_explained() {
    let server = Server::with_models(|models| {
        models.bare("interceptors/minimal", guest("minimal"));
        models.put("interceptors/native.cwasm", "");
    })
    .start();
    server.until_refused(
        &indexed("minimal"),
        1,
        "it is a model and not an interceptor; put it beside the folder",
    );
    server.until_refused(&indexed("native"), 0, "precompiled artifacts are never accepted");
    let server =
        Server::with_models(|models| models.bare("scripted-interceptor", scripted_interceptor("")))
            .start();
    server.until_refused(
        "scripted-interceptor",
        1,
        "it is an interceptor and not a model; put it into the folder interceptors/",
    );
}

#[test]
fn a_component_without_interceptor_export_is_refused() {
    let component = |text: &str| wat::parse_str(format!("(component {text})")).unwrap();
    let server = Server::with_models(|models| {
        models.bare("interceptors/nothing", component(""));
        models.bare(
            "interceptors/sockets",
            component(r#"(import "wasi:sockets/tcp@0.2.0" (instance))"#),
        );
        models.settings("interceptors/golden", "");
        models.version("interceptors/golden", 1, scripted_interceptor(""));
        models.put("interceptors/golden/1/golden.json", "{}");
        // It has its capabilities only if they are granted.
        models.bare(
            "interceptors/http-caller",
            component(r#"(import "wasi:http/outgoing-handler@0.2.0" (instance))"#),
        );
    })
    .start();
    server.until_refused(
        &indexed("nothing"),
        1,
        "does not export 'wardian:model/interceptor@0.1.0'",
    );
    server.until_refused(
        &indexed("sockets"),
        1,
        "it imports 'wasi:sockets/tcp@0.2.0', which is not granted",
    );
    server.until_refused(&indexed("http-caller"), 1, "[capabilities] http =");
    server.until_refused(
        &indexed("golden"),
        1,
        "an interceptor answers no requests; remove the file",
    );
}

#[test]
fn an_interceptor_may_share_a_models_name() {
    let server = with_interceptors(&["scripted"]);
    assert_eq!(trail(&ask(&server, &json!({}))), "scripted scripted");
    add_interceptor(server.models(), "scripted", "before=reject:403:x");
    crate::harness::until("the refusal", || ask(&server, &json!({})).status == 403);
    assert_eq!(server.entry("scripted", 1).unwrap().state, "READY");
}

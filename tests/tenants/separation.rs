//! Two tenants that use the same names.

use serde_json::json;

use super::{HOST, add_scripted, setup, tenant, until_known, write};
use crate::harness::{Server, Setup, guest, scripted, until};

/// A server, not yet started, with tenants `a` and `b`, each with a key of its name.
fn two() -> Setup {
    let setup = setup(super::EAGER);
    let folder = setup.repository("tenants");
    for name in ["a", "b"] {
        write(&folder, name, &tenant(name, name, ""));
    }
    setup
}

#[test]
fn models_metrics_and_logs_are_separate() {
    let setup = two();
    for (name, version) in [("a", 1), ("b", 2)] {
        add_scripted(&setup.repository(name), "scripted", version);
    }
    let server = setup.start();
    server.until_tried();
    let (a, b) = (server.holder("a"), server.holder("b"));
    assert_eq!(
        (
            a.behave("scripted", "ok").number("version"),
            b.behave("scripted", "ok").number("version")
        ),
        (1, 2)
    );
    logs_are_their_own(&server);
    metrics_are_their_own(&server);
    assert_eq!(
        (a.get("/v2/usage").json()["tenant"].clone(), b.get("/v2/usage").json()["tenant"].clone()),
        (json!("a"), json!("b"))
    );
    a.call("POST", "/v2/repository/models/scripted/unload").send().ok();
    a.behave("scripted", "ok").refused(503, "model_not_ready");
    assert_eq!(b.behave("scripted", "ok").number("version"), 2);
}

fn logs_are_their_own(server: &Server) {
    let said = json!({ "inputs": [], "parameters": { "behave": "log" } });
    let log = |name| {
        let call = server.holder(name).call("POST", "/v2/models/scripted/infer");
        call.header("x-request-id", &format!("request-of-{name}")).json(&said).send().ok();
    };
    log("a");
    log("b");
    for (name, other) in [("a", "b"), ("b", "a")] {
        let text = server.holder(name).get("/v2/logs").ok().text();
        assert!(
            text.contains(&format!("request-of-{name}"))
                && !text.contains(&format!("request-of-{other}")),
            "{text}"
        );
        let named = server.holder(HOST).naming(name).get("/v2/logs").ok().text();
        assert_eq!(named, text);
    }
    let lines = server.holder("a").get("/v2/logs?model=scripted").json()["lines"].clone();
    let line = lines
        .as_array()
        .unwrap()
        .iter()
        .find(|line| line["request_id"] == "request-of-a")
        .unwrap()
        .clone();
    assert_eq!(
        (&line["model"], &line["version"], &line["level"]),
        (&json!("scripted"), &json!(1), &json!("warn"))
    );
    assert!(line["message"].as_str().unwrap().contains("the script says to log"), "{line}");
    assert_eq!(server.holder("a").get("/v2/logs?model=other").json()["lines"], json!([]));
}

fn metrics_are_their_own(server: &Server) {
    for (name, other) in [("a", "b"), ("b", "a")] {
        let own = server.holder(name).get("/metrics").ok().text();
        assert!(
            own.contains(&format!("tenant=\"{name}\""))
                && !own.contains(&format!("tenant=\"{other}\"")),
            "{own}"
        );
        let lines = own.lines().filter(|line| !line.starts_with('#'));
        lines.for_each(|line| assert!(line.contains("tenant="), "the host's own: {line}"));
        for line in ["loads_total", "load_failures_total"]
            .map(|what| format!("wardian_{what}{{tenant=\"{name}\"}} "))
        {
            assert!(own.contains(&line), "{line} in {own}");
        }
    }
    let all = server.holder(HOST).get("/metrics").ok().text();
    assert!(all.contains("tenant=\"a\"") && all.contains("tenant=\"b\""));
}

#[test]
fn one_component_has_separate_configurations() {
    let setup = two();
    for name in ["a", "b"] {
        let models = setup.repository(name);
        // A component that imports `wasi:http` is accepted only with a granted origin.
        models.settings(
            "http-caller",
            &format!(
                "[capabilities]\nhttp = ['http://127.0.0.1:1']\nconfig = {{ word = 'of {name}' }}"
            ),
        );
        models.version("http-caller", 1, guest("http-caller"));
        let grants = "[grants]\nhttp = ['http://127.0.0.1:1']";
        write(&setup.repository("tenants"), name, &tenant(name, name, grants));
    }
    let server = setup.start();
    server.until_tried();
    for name in ["a", "b"] {
        let asks = json!({ "name": "asks", "datatype": "BYTES", "shape": [0], "data": [] });
        let answer =
            server.holder(name).infer("http-caller", &json!({ "inputs": [asks] })).ok().json();
        let said = (&answer["parameters"]["word"], &answer["parameters"]["word_in_load"]);
        assert_eq!(said, (&json!(format!("of {name}")), &json!(format!("of {name}"))), "{answer}");
    }
}

#[test]
fn stored_state_is_separate_per_tenant() {
    let setup = two();
    for name in ["a", "b"] {
        setup.repository(name).bare("scripted", scripted("version=1"));
    }
    let server = setup.start();
    server.until_tried();
    // The version number of a bare component grows with its own content only.
    for version in [2, 3] {
        server.repository("a").bare("scripted", scripted(&format!("version={version}")));
        server.holder("a").until_ready("scripted", version as u64);
    }
    assert_eq!(server.holder("b").behave("scripted", "ok").json()["model_version"], "1");
    let server = server.stop().start();
    server.until_tried();
    until_known(&server.holder("a"));
    let number =
        |name| server.holder(name).behave("scripted", "ok").json()["model_version"].clone();
    until("the numbers as they were", || (number("a"), number("b")) == (json!("3"), json!("1")));
}

#[test]
fn without_keys_the_header_names_the_tenant() {
    let server =
        Server::with_models(|_| {}).config("[tenants.default]\n[tenants.a]\nrepository = 'a'");
    add_scripted(&server.repository("a"), "scripted", 1);
    add_scripted(server.models(), "scripted", 2);
    let server = server.start();
    server.until_tried();
    assert_eq!(server.tenant("a").behave("scripted", "ok").number("version"), 1);
    assert_eq!(server.behave("scripted", "ok").number("version"), 2);
    server.tenant("b").behave("scripted", "ok").refused(404, "tenant_not_found");
}

#[test]
fn slow_warm_ups_delay_no_other_tenant() {
    let setup = setup(super::EAGER);
    let folder = setup.repository("tenants");
    let others = ["a", "b", "c", "d"];
    for name in others {
        let models = setup.repository(name);
        for model in ["one", "two", "three", "four"] {
            models.settings(model, "[limits]\ndeadline = '10m'");
            models.version(model, 1, scripted("warm=sleep:600000"));
        }
        write(&folder, name, &tenant(name, name, ""));
    }
    write(&folder, "e", &tenant("e", "e", ""));
    let models = setup.repository("e");
    let server = setup.start();
    let warm_up = || {
        others.iter().for_each(|name| server.holder(HOST).naming(name).until_holds("instances", 4))
    };
    warm_up();
    models.bare("scripted", scripted("version=1"));
    server.holder("e").until_ready("scripted", 1);
    warm_up();
}

//! `model.toml`: the versions that serve, and their settings.

use serde_json::{Value, json};

use super::however_watched;
use crate::harness::{Models, Server, scripted, until};

fn three_versions(models: &Models) {
    for version in 1..=3 {
        models.version("scripted", version, scripted(&format!("version={version}")));
    }
}

/// Waits until exactly these versions serve, and sends a request to each.
fn until_serving(server: &Server, versions: &[u64]) {
    let in_force = || {
        server.get("/v2/models/scripted/config").json()["wardian"]["versions"] == json!(versions)
    };
    until(&format!("that {versions:?} serve"), in_force);
    for version in versions {
        let path = format!("/v2/models/scripted/versions/{version}/infer");
        assert_eq!(server.post(&path, &json!({ "inputs": [] })).number("version") as u64, *version);
    }
}

fn policy_in_force(server: &Server) -> Value {
    server.config_of("scripted")["version_policy"].clone()
}

#[test]
fn the_policy_can_change_at_run_time() {
    however_watched(three_versions, |server| {
        until_serving(&server, &[3]);
        assert_eq!(policy_in_force(&server), json!({ "latest": { "num_versions": 1 } }));
        server.models().settings("scripted", "versions = 'all'");
        until_serving(&server, &[3, 2, 1]);
        assert_eq!(policy_in_force(&server), json!({ "all": {} }));
        server.models().settings("scripted", "versions = { latest = 2 }");
        until_serving(&server, &[3, 2]);
        server.models().settings("scripted", "versions = [1]");
        until_serving(&server, &[1]);
        assert_eq!(policy_in_force(&server), json!({ "specific": { "versions": [1] } }));
        server.models().remove("scripted/model.toml");
        until_serving(&server, &[3]);
    });
}

#[test]
fn a_request_without_a_version_gets_the_newest() {
    let server = Server::with_models(|models| {
        three_versions(models);
        models.settings("scripted", "versions = [1, 2]");
    })
    .start();
    until_serving(&server, &[2, 1]);
    assert_eq!(server.version_of("scripted"), 2);
    server.get("/v2/models/scripted/versions/3").refused(404, "model_not_found");
}

#[test]
fn faulty_settings_leave_the_serving_version() {
    however_watched(
        |models| {
            models.version("scripted", 1, scripted("version=1"));
            models.settings("scripted", "[limits]\ndeadline = '9s'");
        },
        |server| {
            server.until_version_of("scripted", 1);
            server.models().settings("scripted", "versoins = 'all'\n[limits]\nmemory = '8TiB'\n");
            server.until_refused("scripted", 0, "model.toml line 1: versoins: unknown key");
            server.until_refused("scripted", 0, "line 3: limits.memory");
            assert_eq!(server.version_of("scripted"), 1);
            assert_eq!(server.config_of("scripted")["wardian"]["limits"]["deadline_ms"], 9000);
            server.models().settings("scripted", "[limits]\ndeadline = '8s'");
            until("the new deadline", || {
                server.config_of("scripted")["wardian"]["limits"]["deadline_ms"] == 8000
            });
            assert_eq!(server.entry("scripted", 0), None);
        },
    );
}

#[test]
fn faulty_settings_prevent_the_first_load() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.settings("scripted", "isolation = 'none'");
    })
    .start();
    server.until_refused("scripted", 0, "isolation: expected \"request\" or \"pooled\"");
    server.until_tried();
    let refused = server.behave("scripted", "ok");
    refused.refused(503, "model_not_ready");
    assert!(refused.text().contains("it failed to load, at stage read"), "{refused}");
}

#[test]
fn every_setting_in_force_is_shown() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.settings(
            "scripted",
            "isolation = 'pooled'\n[instances]\nmin = 1\nmax = 3\nidle_timeout = '7s'\nthreads = 4\n[batching]\nmax_queue = 5\n\
             [limits]\nmemory = '32MiB'\ndeadline = '4s'\ncpu_time = '1s'\nrequest = '1MiB'\nresponse = '2MiB'\n\
             [warmup]\nrequests = 2\n[capabilities]\nconfig = { threshold = 'only-for-the-model' }\n",
        );
    })
    .start();
    server.until_ready("scripted", 1);
    let shown = server.config_of("scripted")["wardian"].clone();
    let limits = json!({ "memory_bytes": 32 << 20, "deadline_ms": 4000, "cpu_time_ms": 1000,
                         "request_bytes": 1 << 20, "response_bytes": 2 << 20 });
    assert_eq!(shown["limits"], limits);
    assert_eq!((&shown["isolation"], &shown["snapshot"]), (&json!("pooled"), &json!(true)));
    assert_eq!(
        (&shown["instances"]["max"], &shown["instances"]["idle_timeout_ms"]),
        (&json!(3), &json!(7000))
    );
    assert_eq!(shown["instances"]["threads"], 4);
    assert_eq!(
        (&shown["batching"]["max_queue"], &shown["warmup"]["requests"]),
        (&json!(5), &json!(2))
    );
    assert_eq!(shown["capabilities"]["config"], json!(["threshold"]));
    assert!(!shown.to_string().contains("only-for-the-model"), "{shown}");
}

/// Asserts what is reported of version 7, which the settings name and which is missing.
fn misses_version_7(server: &Server) {
    let says = "`versions` in scripted/model.toml names it, and there is no folder scripted/7";
    server.until_refused("scripted", 7, says);
    let loaded = server.load("scripted");
    assert!(
        loaded.refused(422, "load_failed").text().contains(&format!("read: version 7: {says}")),
        "{loaded}"
    );
}

#[test]
fn a_missing_listed_version_is_reported() {
    however_watched(
        |models| {
            models.version("scripted", 1, scripted("version=1"));
            models.settings("scripted", "versions = [7]");
        },
        |server| {
            server.until_tried();
            misses_version_7(&server);
            let refused = server.behave("scripted", "ok");
            let text = refused.refused(503, "model_not_ready").text();
            assert!(
                text.contains("version 7: ") && text.contains("there is no folder scripted/7"),
                "{text}"
            );
            server.until_refused("scripted", 1, "not wanted by the version policy");
            server.models().version("scripted", 7, scripted("version=7"));
            server.until_version_of("scripted", 7);
            server.load("scripted").ok();
            server.models().remove("scripted/7");
            misses_version_7(&server);
            server.behave("scripted", "ok").refused(503, "model_not_ready");
            server.models().remove("scripted/model.toml");
            server.until_version_of("scripted", 1);
            until("that nothing is told of version 7", || server.entry("scripted", 7).is_none());
        },
    );
}

#[test]
fn a_missing_listed_version_unloads_nothing() {
    let server = Server::with_models(|models| {
        models.version("scripted", 1, scripted("version=1"));
        models.settings("scripted", "versions = [1, 7]");
    })
    .start();
    server.until_version_of("scripted", 1);
    misses_version_7(&server);
    server.models().settings("scripted", "versions = [7]");
    misses_version_7(&server);
    assert_eq!(server.version_of("scripted"), 1);
    server.models().settings("scripted", "versions = [1]");
    until("that nothing is told of version 7", || server.entry("scripted", 7).is_none());
    server.load("scripted").ok();
}

#[test]
fn settings_without_versions_are_reported() {
    let server =
        Server::with_models(|models| models.settings("scripted", "versions = [7]")).start();
    misses_version_7(&server);
    let refused = server.behave("scripted", "ok");
    assert!(
        refused.refused(503, "model_not_ready").text().contains("no folder scripted/7"),
        "{refused}"
    );
}

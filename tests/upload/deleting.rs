//! Deleting the newest version: it serves until the others have been tried, and no longer.

use serde_json::json;

use crate::harness::{Models, Server, scripted, until};

const QUICK: &str = "settle = '20ms'";

/// Starts a server that serves version 2, with `older` as version 1.
fn with_older(older: Vec<u8>) -> Server {
    let fill = |models: &Models| {
        models.version("scripted", 1, older);
        models.version("scripted", 2, scripted("version=2"));
    };
    let server = Server::with_models(fill).config(QUICK).start();
    server.until_version_of("scripted", 2);
    server
}

#[test]
fn a_deleted_version_serves_until_its_predecessor_loads() {
    let server = with_older(scripted("version=1;load=sleep:1500"));
    let removed = server.remove("scripted", 2).ok().json();
    let reason = "deleted; it serves until version 1 has loaded";
    assert_eq!(
        removed,
        json!({ "name": "scripted", "version": "2", "state": "READY", "reason": reason })
    );
    let entry = server.entry("scripted", 2).unwrap();
    assert_eq!((entry.state.as_str(), entry.reason.as_str()), ("READY", reason));
    assert_eq!(server.version_of("scripted"), 2);
    server.until_version_of("scripted", 1);
    until("that nothing is told of version 2", || server.entry("scripted", 2).is_none());
}

#[test]
fn a_deleted_version_goes_without_a_loadable_predecessor() {
    for remove in [true, false] {
        let server = with_older(scripted("load=fail"));
        match remove {
            true => drop(server.remove("scripted", 2).ok()),
            false => server.models().remove("scripted/2"),
        }
        server.until_refused("scripted", 1, "load: ");
        until("the end of version 2", || server.entry("scripted", 2).is_none());
        let refused = server.behave("scripted", "ok");
        assert!(
            refused
                .refused(503, "model_not_ready")
                .text()
                .contains("failed to load, at stage load"),
            "{refused}"
        );
        // No other route finds it either.
        server.get("/v2/models/scripted/versions/2").refused(404, "model_not_found");
        server.models().version("scripted", 1, scripted("version=7"));
        server.until_version_of("scripted", 7);
    }
}

#[test]
fn a_deleted_version_goes_if_others_are_faulty() {
    let server = with_older(scripted("version=1")[..5000].to_vec());
    server.until_refused("scripted", 1, "truncated");
    server.remove("scripted", 2).ok();
    until("the end of version 2", || server.entry("scripted", 2).is_none());
    server.behave("scripted", "ok").refused(503, "model_not_ready");
}

#[test]
fn deleting_the_last_version_removes_the_model() {
    let server = Server::with_models(|models| models.version("scripted", 1, scripted("version=1")))
        .config(QUICK)
        .start();
    server.until_version_of("scripted", 1);
    let removed = server.remove("scripted", 1).ok().json();
    let state = removed["state"].as_str().unwrap();
    assert!(["UNLOADING", "UNAVAILABLE"].contains(&state), "{removed}");
    server.until_gone("scripted");
    server.behave("scripted", "ok").refused(404, "model_not_found");
}

#[test]
fn a_faulty_replacement_keeps_the_old_version() {
    let server = Server::with_models(|models| models.version("scripted", 1, scripted("version=1")))
        .config(QUICK)
        .start();
    server.until_version_of("scripted", 1);
    server.models().version("scripted", 2, scripted("load=fail"));
    server.until_refused("scripted", 2, "load: ");
    let removed = server.remove("scripted", 1).ok().json();
    let says = "no longer in the repository; it serves until version 2 does";
    let reason = removed["reason"].as_str().unwrap();
    assert!(removed["state"] == "READY" && reason.starts_with(says), "{removed}");
    server.until_refused("scripted", 2, "load: ");
    let entry = server.entry("scripted", 1).unwrap();
    assert!(
        entry.state == "READY" && entry.reason.starts_with(&format!("{says}: load: ")),
        "{}",
        entry.reason
    );
    assert_eq!(server.version_of("scripted"), 1);
    server.remove("scripted", 2).ok();
    server.until_gone("scripted");
}

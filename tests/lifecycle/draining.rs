//! Draining: a version that is replaced or unloaded answers its last requests, runs its unload
//! hook, and is freed.

use crate::harness::{Models, Server, scripted};

/// Settings for requests that may sleep for as long as a test wants.
fn patient(models: &Models) {
    models.settings("scripted", "[limits]\ndeadline = '10m'");
    models.version("scripted", 1, scripted("version=1;unload=log"));
}

#[test]
fn a_running_request_finishes_on_its_version() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let slow = server.begin_behave("scripted", "sleep:4000");
    server.until_busy("scripted", 1);
    server.models().version("scripted", 2, scripted("version=2"));
    server.until_version_of("scripted", 2);
    let answer = slow.answer();
    assert_eq!((answer.number("version"), answer.json()["model_version"].as_str()), (1, Some("1")));
    server.until_logged("scripted unloads version 1");
    assert_eq!(server.metric("wardian_request_failures_total").unwrap_or(0.0), 0.0);
}

#[test]
fn a_version_drains_until_its_last_request() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    server.unload("scripted").ok();
    server.until_state("scripted", 1, "UNLOADING");
    server.behave("scripted", "ok").refused(503, "model_not_ready");
    assert!(!server.log().contains("scripted unloads"));
    endless.hang_up();
    server.until_refused("scripted", 1, "unloaded on request");
    server.until_logged("scripted unloads version 1");
}

#[test]
fn a_draining_version_can_be_loaded_again() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    server.unload("scripted").ok();
    server.until_state("scripted", 1, "UNLOADING");
    server.load("scripted").ok();
    assert_eq!(server.version_of("scripted"), 1);
    endless.hang_up();
    server.until_logged("scripted unloads version 1");
    assert_eq!(server.version_of("scripted"), 1);
}

#[test]
fn the_unload_hook_runs_once() {
    let server = Server::with_models(|models| {
        for (name, unload) in
            [("logs", "log"), ("traps", "trap"), ("spins", "spin"), ("eats", "eat")]
        {
            models.version(name, 1, scripted(&format!("unload={unload}")));
            models.settings(name, "[limits]\ncpu_time = '1s'\nmemory = '32MiB'");
        }
    })
    .start();
    server.until_tried();
    for name in ["logs", "traps", "spins", "eats"] {
        server.unload(name).ok();
        server.until_refused(name, 1, "unloaded on request");
        server.until_logged(&format!("unloaded model=default/{name}"));
    }
    assert_eq!(server.log().matches("the script says to log").count(), 1);
    assert_eq!(server.log().matches("its unload failed").count(), 3);
}

//! The start and the stop of the server.

use serde_json::json;

use crate::harness::{Models, Server, scripted, until};

/// Settings for requests that may sleep for as long as a test wants.
fn patient(models: &Models) {
    models.settings("scripted", "[limits]\ndeadline = '10m'");
    models.version("scripted", 1, scripted("version=1;unload=log"));
}

/// A model whose `load` runs until its deadline.
fn loading_for_long(models: &Models) {
    models.bare("slow", scripted("load=spin"));
}

#[test]
fn listens_before_models_are_ready() {
    let server = Server::with_models(loading_for_long).start();
    server.get("/v2/health/live").ok();
    server.until_state("slow", 1, "LOADING");
    let ready = server.get("/v2/health/ready");
    assert_eq!((ready.status, ready.json()), (503, json!({ "ready": false })));
    assert_eq!(server.get("/ping").status, 503);
    let refused = server.behave("slow", "ok");
    refused.refused(503, "model_not_ready");
    assert_eq!(refused.header("retry-after"), Some("1"));
    assert!(refused.text().contains("it is loading"), "{refused}");
    server.get("/v2/models/slow/ready").refused(503, "model_not_ready");
}

#[test]
fn a_slow_load_delays_no_other_model() {
    let server = Server::with_models(loading_for_long).config("[compile]\njobs = 2").start();
    server.until_state("slow", 1, "LOADING");
    server.models().bare("quick", scripted("version=1"));
    server.until_version_of("quick", 1);
    assert_eq!(server.until_state("slow", 1, "LOADING").reason, "");
}

#[test]
fn ready_once_every_model_was_tried() {
    let server = Server::with_models(|models| {
        models.bare("good", scripted("version=1"));
        models.bare("bad", scripted("load=fail"));
        models.bare("worse", b"no component".to_vec());
    })
    .config("[compile]\nload_deadline = '2s'")
    .start();
    server.until_tried();
    server.until_ready("good", 1);
    server.until_refused("bad", 1, "the weights are corrupt");
    server.until_refused("worse", 0, "not WebAssembly");
    server.get("/ping").ok();
    server.get("/v2/models/bad/ready").refused(503, "model_not_ready");
}

#[test]
fn an_empty_repository_is_ready() {
    Server::empty().until_tried();
}

#[test]
fn a_stop_answers_requests_and_unloads_models() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let slow = server.begin_behave("scripted", "sleep:4000");
    server.until_busy("scripted", 1);
    server.terminate();
    server.until_logged("draining");
    let answer = slow.answer();
    assert_eq!(answer.number("version"), 1);
    assert_eq!(server.until_ended().code(), Some(0));
    for said in ["the script says to log", "unloaded model=default/scripted", "drained"] {
        assert!(server.log().contains(said), "'{said}' is missing in {}", server.log());
    }
}

#[test]
fn a_draining_server_refuses_new_requests() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    server.terminate();
    until("that it is not ready", || server.get("/v2/health/ready").status == 503);
    server.get("/v2/health/live").ok();
    let refused = server.behave("scripted", "ok");
    refused.refused(503, "overloaded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    server.load("scripted").refused(503, "overloaded");
    endless.hang_up();
    assert_eq!(server.until_ended().code(), Some(0));
}

#[test]
fn the_drain_timeout_bounds_the_stop() {
    let server = Server::with_models(patient).argument("--drain-timeout").argument("100ms").start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
    assert!(server.log().contains("not everything has drained in time"), "{}", server.log());
    assert!(endless.try_answer().is_err());
}

#[test]
fn a_second_signal_stops_at_once() {
    let server = Server::with_models(patient).start();
    server.until_version_of("scripted", 1);
    let endless = server.begin_behave("scripted", "sleep:600000");
    server.until_busy("scripted", 1);
    server.terminate();
    server.until_logged("draining");
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(1));
    assert!(endless.try_answer().is_err());
}

#[test]
fn a_running_load_does_not_delay_the_stop() {
    let server = Server::with_models(loading_for_long).start();
    server.until_state("slow", 1, "LOADING");
    server.until_logged("scripted loads version 0");
    server.terminate();
    assert_eq!(server.until_ended().code(), Some(0));
}

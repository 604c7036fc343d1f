//! Conflicts are found when a model is loaded, and reported like any other fault.

use std::process::Command;

use super::{VERSION, add};
use crate::harness::{Server, scripted, until};

fn route(path: &str) -> String {
    format!("[[routes]]\npath = '{path}'\n")
}

#[test]
fn the_model_that_comes_second_waits_for_the_route() {
    let server = Server::with_models(|models| add(models, "first", &route("/a/{text}"))).start();
    server.until_ready("first", 1);

    // Nothing but the name of the parameter is different.
    let taken = "[[routes]]\npath = '/a/{x}'\ninputs = { text = 'x' }";
    add(server.models(), "second", taken);
    let reason = "routes: the route GET /a/{x} is taken: the model 'first' has GET /a/{text}";
    server.until_refused("second", 1, reason);
    server.load("second").refused(422, "load_failed");
    assert!(server.log().contains("cannot serve"), "{}", server.log());
    assert_eq!(server.get("/a/b").ok().json()["version"], 1);
    server.infer("second", &serde_json::json!({ "inputs": [] })).refused(503, "model_not_ready");

    // It loads once the route is free.
    server.unload("first").ok();
    server.until_ready("second", 1);
    server.get("/a/b").ok();
    server.load("first").refused(422, "load_failed");
}

#[test]
fn a_version_that_conflicts_leaves_the_old_one_in_service() {
    let server = Server::with_models(|models| {
        add(models, "first", &route("/a"));
        add(models, "second", &route("/b"));
    })
    .start();
    server.until_ready("first", 1);
    server.until_ready("second", 1);

    server.models().settings("second", &route("/a"));
    server.until_entry("second", 1, "the conflict", |entry| {
        entry.state == "READY" && entry.reason.contains("the model 'first' has GET /a")
    });
    server.get("/b").ok();

    // Both methods have the path: a route is a method and a path.
    server.models().settings("second", &format!("{}method = 'POST'\n", route("/a")));
    until("that POST is answered", || server.call("POST", "/a").send().status == 200);
    server.get("/a").ok();
    server.get("/b").refused(404, "not_found");
}

#[test]
fn many_models_that_load_at_once_do_not_share_a_route() {
    let names: Vec<_> = (0..6).map(|index| format!("m{index}")).collect();
    let server = Server::with_models(|models| {
        names.iter().for_each(|name| add(models, name, &route("/a")));
    })
    .start();
    server.until_tried();

    let states = || names.iter().filter_map(|name| server.entry(name, 1)).map(|entry| entry.state);
    let ready = states().filter(|state| state == "READY").count();
    assert_eq!((ready, states().count()), (1, names.len()));
    server.get("/a").ok();
}

#[test]
fn routes_that_do_not_fit_the_model_are_refused() {
    for (routes, says) in [
        (route("/v2/mine"), "the server's own paths begin with '/v2'"),
        (route("/metrics"), "the server's own paths begin with '/metrics'"),
        (route("/a") + &route("/a"), "is the same as the route GET /a before it"),
        (
            route("/a/{txt}"),
            "path parameter 'txt': the model has no input 'txt'; did you mean 'text'?",
        ),
        (route("/a") + "outputs = 'verzion'", "did you mean 'version'?"),
    ] {
        let server = Server::with_models(|models| add(models, "scripted", &routes)).start();
        until(says, || server.index().iter().any(|entry| entry.reason.contains(says)));
        server.get("/a").refused(404, "not_found");
    }
}

#[test]
fn an_upload_with_a_taken_route_changes_nothing() {
    let server = Server::with_models(|models| {
        add(models, "first", VERSION);
        models.settings("second", VERSION);
    })
    .start();
    server.until_ready("first", 1);
    let refused = server.upload("second", 1, scripted("version=2"));
    refused.refused(422, "load_failed");
    assert!(refused.text().contains("is taken: the model 'first'"), "{refused}");
    assert!(!server.models().path("second/1").exists());
}

#[test]
fn check_finds_conflicts_and_faults() {
    let setup = Server::with_models(|models| {
        add(models, "first", &route("/a"));
        add(models, "second", &route("/a"));
        add(models, "third", &route("/a/{txt}"));
    });
    let mut command = Command::new(env!("CARGO_BIN_EXE_wardian"));
    let output = command.arg("check").arg(setup.models().path("")).env_remove("RUST_LOG").output();
    let output = output.unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for line in [
        "the route GET /a is taken: the model 'first' has GET /a",
        "the model has no input 'txt'; did you mean 'text'?",
    ] {
        assert!(said.contains(line), "{line}: {said}");
    }
    assert!(!said.contains("the model 'second' has"), "{said}");
}

//! The instance that a request gets, and the state that earlier requests left in it.

use serde_json::json;

use crate::engine::scripted_with;
use crate::harness::{Server, scripted, scripted_without_snapshot, until, wat_model};

/// Returns the number of requests that the answering instance has had.
fn calls(server: &Server) -> i64 {
    server.behave("scripted", "ok").number("calls")
}

/// Returns the number of instances that wait for another request.
fn idle(server: &Server, model: &str) -> i64 {
    server.config_of(model)["wardian"]["instances"]["idle"].as_i64().unwrap()
}

#[test]
fn every_request_gets_an_instance_that_is_as_good_as_new() {
    let server = scripted_with("");
    for _ in 0..20 {
        assert_eq!(calls(&server), 1);
    }
    server.behave("scripted", "touch:16").ok();
    assert_eq!(calls(&server), 1);
}

#[test]
fn only_an_instance_that_can_be_reset_is_kept() {
    let server = scripted_with("");
    let ask_until_kept = || {
        // The first instances show which pages are written, and give the originals of those.
        until("an instance is kept", || calls(&server) == 1 && idle(&server, "scripted") == 1);
    };
    ask_until_kept();

    for (word, reason) in [
        ("touch:16", "its memory has grown"),
        ("stdout-flood", "it has had a handle"),
        ("trap", "it has trapped"),
        ("sleep:1", "it has had a handle"),
    ] {
        server.behave("scripted", word);
        assert_eq!((idle(&server, "scripted"), calls(&server)), (0, 1), "{word}: {reason}");
        ask_until_kept();
    }

    server.behave("scripted", "reject").refused(422, "model_rejected_input");
    assert_eq!(idle(&server, "scripted"), 1, "an error of the model is no fault of its instance");
}

#[test]
fn no_instance_is_kept_where_memory_is_unmapped() {
    let server = Server::with_models(|models| models.bare("scripted", scripted("version=1")))
        .environment("WARDIAN_RESET", "unmap")
        .start();
    server.until_version_of("scripted", 1);
    for _ in 0..5 {
        assert_eq!((calls(&server), idle(&server, "scripted")), (1, 0));
    }
}

/// Starts a server with two models of that script, which has room for an instance of one of them,
/// and asks them in turns.
#[track_caller]
fn two_models_take_turns(script: &str, config: &str) {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted(&format!("{script}version=1")));
        models.bare("other", scripted(&format!("{script}version=2")));
    })
    .config(config)
    .start();
    server.until_version_of("scripted", 1);
    server.until_version_of("other", 2);

    for _ in 0..10 {
        for model in ["scripted", "other"] {
            assert_eq!(server.behave(model, "ok").number("calls"), 1, "{model}");
        }
    }
}

#[test]
fn a_kept_instance_gives_way_to_another_model() {
    two_models_take_turns("", "[engine]\ninstances = 1");
}

#[test]
fn a_kept_instance_gives_way_to_the_memory_of_another() {
    two_models_take_turns("ballast=20;", "[tenants.default.quota]\nmemory = '40MiB'");
}

#[test]
fn a_kept_instance_does_not_stay_for_long() {
    let server = scripted_with("[instances]\nidle_timeout = '1s'");
    until("an instance is kept", || calls(&server) == 1 && idle(&server, "scripted") == 1);
    until("it is dropped", || idle(&server, "scripted") == 0);
}

#[test]
fn a_pooled_instance_is_reused_until_it_fails() {
    let server =
        scripted_with("isolation = 'pooled'\n[instances]\nmax = 1\n[limits]\nmemory = '64MiB'");
    let first = calls(&server);
    assert_eq!((calls(&server), calls(&server)), (first + 1, first + 2));
    for word in ["trap", "panic", "eat", "spin"] {
        assert!(server.behave("scripted", word).status >= 500, "{word}");
        assert_eq!((calls(&server), calls(&server)), (1, 2), "after {word}");
    }
    // An error that a model returns is no fault of its instance.
    server.behave("scripted", "reject").refused(422, "model_rejected_input");
    assert_eq!(calls(&server), 4);
    // Memory never shrinks, so an instance that has grown is discarded.
    server.behave("scripted", "touch:48").ok();
    assert_eq!(calls(&server), 1);
}

#[test]
fn an_import_error_explains_only_its_own_request() {
    let asks_for_too_much_then_traps = wat_model(
        "(global $calls (mut i32) (i32.const 0))
         (func $answer (result i64)
            (global.set $calls (i32.add (global.get $calls) (i32.const 1)))
            (if (i32.gt_u (global.get $calls) (i32.const 1)) (then unreachable))
            (i64.extend_i32_s (memory.grow (i32.const 10000))))",
    );
    let server = Server::with_models(|models| {
        models.settings(
            "model",
            "isolation = 'pooled'\n[instances]\nmax = 1\n[warmup]\nrequests = 0",
        );
        models.version("model", 1, asks_for_too_much_then_traps);
    })
    .start();
    server.until_ready("model", 1);
    let ask = || server.infer("model", &json!({ "inputs": [] }));
    assert_eq!(ask().number("answer"), -1);
    ask().refused(500, "model_trapped");
}

#[test]
fn a_component_without_snapshot_is_served() {
    let server = Server::with_models(|models| {
        models.bare("scripted", scripted_without_snapshot("version=1"));
        models.version("pooled", 1, scripted_without_snapshot("version=2"));
        models.settings("pooled", "isolation = 'pooled'");
    })
    .start();
    server.until_version_of("scripted", 1);
    server.until_version_of("pooled", 2);
    let shown = server.config_of("scripted")["wardian"].clone();
    assert_eq!(shown["snapshot"], false);
    let reason = shown["snapshot_reason"].as_str().unwrap();
    assert!(reason.contains("elem.drop"), "{reason}");
    assert_eq!((calls(&server), calls(&server)), (1, 1));
    // `load` runs in each instance, so at least once for each of these requests.
    assert!(server.log().matches("scripted loads version 1").count() >= 3);
    assert!(
        server.behave("pooled", "ok").number("calls")
            < server.behave("pooled", "ok").number("calls")
    );
}

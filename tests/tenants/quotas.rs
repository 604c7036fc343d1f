//! Quotas are counted exactly, and waiting requests get what becomes free.

use serde_json::json;

use super::{HOST, add_scripted, setup, tenant, write};
use crate::harness::{Server, Setup, scripted, scripted_without_snapshot, until};

/// A server, not yet started, with a tenant `a` that has this quota.
fn with_quota(quota: &str) -> Setup {
    let setup = setup("");
    write(&setup.repository("tenants"), "a", &tenant("a", "a", &format!("[quota]\n{quota}")));
    setup
}

#[test]
fn usage_shows_amounts_and_limits() {
    let setup = with_quota(
        "requests_per_second = 500\nconcurrency = 5\nqueue = 4\ninstances = 3\nmemory = '1GiB'\nmodels = 2\n\
         storage = '10MB'\nartifact_size = '5MB'",
    );
    let models = setup.repository("a");
    add_scripted(&models, "scripted", 1);
    models.settings(
        "scripted",
        "[instances]\nmax = 1\n[limits]\ndeadline = '10m'\n[breaker]\nfaults = 0",
    );
    let server = setup.start();
    server.until_tried();
    let (a, host) = (server.holder("a"), server.holder(HOST).naming("a"));
    let asking: Vec<_> = (0..3).map(|_| a.begin_behave("scripted", "sleep:600000")).collect();
    // The host's own usage request is not counted.
    host.until_holds("queue", 2);
    host.until_holds("instances", 1);
    let usage = host.get("/v2/usage").ok().json();
    let quota = &usage["quota"];
    for (name, used, limit) in
        [("concurrency", 3, 5), ("queue", 2, 4), ("instances", 1, 3), ("models", 1, 2)]
    {
        assert_eq!(quota[name], json!({ "used": used, "limit": limit }), "{name} in {usage}");
    }
    assert_eq!(
        (&quota["memory"]["limit"], &quota["storage"]["limit"]),
        (&json!(1 << 30), &json!(10_000_000))
    );
    assert!(
        quota["memory"]["used"].as_u64() > Some(0) && quota["storage"]["used"].as_u64() > Some(0),
        "{usage}"
    );
    assert_eq!(quota["requests_per_second"], json!({ "limit": 500 }));
    assert_eq!(quota["artifact_size"], json!({ "limit": 5_000_000 }));
    assert_eq!(
        (&usage["tenant"], &usage["weight"], &usage["refused"]),
        (&json!("a"), &json!(1), &json!(0))
    );
    asking.into_iter().for_each(|pending| pending.hang_up());
    for name in ["concurrency", "queue", "instances", "memory"] {
        host.until_holds(name, 0);
    }
    // A tenant's own usage request is counted.
    assert_eq!(a.holds("concurrency"), 1);
    unload_and_see(&server);
}

fn unload_and_see(server: &Server) {
    server.holder("a").call("POST", "/v2/repository/models/scripted/unload").send().ok();
    server.holder(HOST).naming("a").until_holds("models", 0);
}

#[test]
fn idle_instances_are_reclaimed_for_other_models() {
    let server = pooled_pair();
    let a = server.holder("a");
    a.behave("one", "ok").ok();
    until("an idle instance", || idle(&server, "one") == 1);
    for (asked, other) in [("two", "one"), ("one", "two"), ("two", "one")] {
        a.behave(asked, "ok").ok();
        assert_eq!((idle(&server, other), a.holds("instances")), (0, 1));
    }
}

#[test]
fn instances_are_released_to_waiting_models() {
    let server = pooled_pair();
    let a = server.holder("a");
    for (busy, waiting) in [("one", "two"), ("two", "one")] {
        let working = a.begin_behave(busy, "sleep:500");
        server.holder(HOST).naming("a").until_holds("instances", 1);
        let waiting = a.begin_behave(waiting, "ok");
        working.answer().ok();
        waiting.answer().ok();
    }
}

#[test]
fn minimum_instances_yield_to_waiting_requests() {
    let setup = with_quota("instances = 1");
    let models = setup.repository("a");
    models.version("one", 1, scripted("version=1"));
    let server = setup.start();
    server.until_tried();
    models.settings("two", "isolation = 'pooled'\n[instances]\nmin = 1\nidle_timeout = '24h'");
    // Making an instance takes so long that other requests wait meanwhile.
    models.version("two", 1, scripted_without_snapshot("version=2;load=sleep:700"));
    let a = server.holder("a");
    until("that two serves", || {
        a.behave("one", "ok").ok();
        a.entry("two", 1).is_some_and(|entry| entry.state == "READY")
    });
}

/// Starts a server with a tenant that may have one instance, and two models that keep their
/// instances for long.
fn pooled_pair() -> Server {
    let setup = with_quota("instances = 1");
    let models = setup.repository("a");
    for name in ["one", "two"] {
        models.settings(
            name,
            "isolation = 'pooled'\n[instances]\nidle_timeout = '24h'\n[limits]\ndeadline = '20s'",
        );
        models.version(name, 1, scripted("version=1"));
    }
    let server = setup.start();
    server.until_tried();
    server
}

fn idle(server: &Server, model: &str) -> u64 {
    let config = server.holder("a").get(&format!("/v2/models/{model}/config")).ok().json();
    config["wardian"]["instances"]["idle"].as_u64().unwrap()
}

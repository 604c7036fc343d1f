//! Tenants that hold as many instances as their quotas allow do not keep others from serving.

use serde_json::json;

use super::{HOST, setup, tenant, write};
use crate::harness::{Pending, Server, Setup, scripted, until, wat_model_with};

/// The default quota of instances.
const INSTANCES: usize = 250;

/// A server, not yet started, with three tenants.
fn three_tenants(engine: &str) -> Setup {
    let setup = setup(engine);
    for name in ["a", "b", "c"] {
        write(&setup.repository("tenants"), name, &tenant(name, name, ""));
    }
    setup
}

/// Sends a request that ends with the connection, or an hour later.
fn begin(server: &Server, name: &str, model: &str) -> Pending {
    let path = format!("/v2/models/{model}/infer");
    server.holder(name).call("POST", &path).json(&json!({ "inputs": [] })).begin()
}

/// A model of eight core instances that sleeps for an hour.
fn eight_core_instances() -> Vec<u8> {
    let imports = r#"
        (import "wasi:io/poll@0.2.6" (instance $poll
            (export "pollable" (type $pollable (sub resource)))
            (export "[method]pollable.block" (func (param "self" (borrow $pollable))))))
        (alias export $poll "pollable" (type $pollable))
        (import "wasi:clocks/monotonic-clock@0.2.6" (instance $clock
            (alias outer 1 $pollable (type $p))
            (export "subscribe-duration" (func (param "when" u64) (result (own $p))))))
        (core func $block (canon lower (func $poll "[method]pollable.block")))
        (core func $subscribe (canon lower (func $clock "subscribe-duration")))
        (core module $empty)"#;
    // Two more are the model itself and its memory.
    let empty = "(core instance (instantiate $empty))".repeat(6);
    let functions = r#"(export "block" (func $block)) (export "subscribe" (func $subscribe))"#;
    let module = r#"
        (import "host" "block" (func $block (param i32)))
        (import "host" "subscribe" (func $subscribe (param i64) (result i32)))
        (func $answer (result i64)
            (call $block (call $subscribe (i64.const 3600000000000))) (i64.const 0))"#;
    wat_model_with(&format!("{imports} {empty}"), functions, module)
}

#[test]
fn two_tenants_with_250_instances_of_eight_core_instances_leave_room_for_a_third() {
    let setup = three_tenants("");
    for name in ["a", "b"] {
        let models = setup.repository(name);
        models.settings(
            "sleeper",
            "[instances]\nmax = 1000\n[limits]\ndeadline = '1h'\n[warmup]\nrequests = 0",
        );
        models.version("sleeper", 1, eight_core_instances());
    }
    setup.repository("b").version("scripted", 1, scripted("version=1"));
    setup.repository("c").version("scripted", 1, scripted("version=1"));

    let server = setup.start();
    ["a", "b"].iter().for_each(|name| server.holder(name).until_ready("sleeper", 1));
    ["b", "c"].iter().for_each(|name| server.holder(name).until_ready("scripted", 1));

    let host = server.holder(HOST);
    let flood = |name: &str| {
        let flooding: Vec<_> = (0..INSTANCES).map(|_| begin(&server, name, "sleeper")).collect();
        until("that each request runs or is queued", || {
            let tenant = host.naming(name);
            tenant.holds("instances") + tenant.holds("queue") >= INSTANCES as u64
        });
        flooding
    };
    let serves = |name: &str, version: u64| {
        let tenant = server.holder(name);
        server.repository(name).version(
            "scripted",
            version,
            scripted(&format!("version={version}")),
        );
        until("the new version", || {
            tenant.behave("scripted", "ok").number("version") == version as i64
        });
        for _ in 0..10 {
            tenant.behave("scripted", "ok").ok();
        }
    };

    let of_a = flood("a");
    serves("b", 2);
    serves("c", 2);
    let of_b = flood("b");
    serves("c", 3);

    of_a.into_iter().chain(of_b).for_each(Pending::hang_up);
    ["a", "b"].iter().for_each(|name| host.naming(name).until_holds("instances", 0));
}

#[test]
fn thirty_four_idle_instances_give_way_to_another_tenant() {
    let setup = three_tenants("engine.instances = 36\n");
    let settings = "[instances]\nmax = 34\nidle_timeout = '24h'\n[limits]\ndeadline = '10m'";
    for (name, isolation) in [("a", "isolation = 'pooled'\n"), ("b", "")] {
        let models = setup.repository(name);
        models.settings("scripted", &format!("{isolation}{settings}"));
        models.version("scripted", 1, scripted("version=1"));
    }
    let server = setup.start();
    ["a", "b"].iter().for_each(|name| server.holder(name).until_ready("scripted", 1));

    let host = server.holder(HOST);
    let (a, b) = (host.naming("a"), host.naming("b"));
    let together: Vec<_> =
        (0..34).map(|_| server.holder("a").begin_behave("scripted", "sleep:500")).collect();
    for pending in together {
        pending.answer().ok();
    }
    let idle = a.holds("instances");
    assert!(idle > 20, "{idle} instances are idle");

    // More than the slots that `a` has left.
    let of_b: Vec<_> =
        (0..24).map(|_| server.holder("b").begin_behave("scripted", "sleep:600000")).collect();
    b.until_holds("instances", 24);
    assert_eq!(b.holds("queue"), 0);
    of_b.into_iter().for_each(Pending::hang_up);
    b.until_holds("instances", 0);
    assert_eq!(server.holder("a").behave("scripted", "ok").number("version"), 1);
}

//! The engine's slots for instances: each tenant has a guaranteed number.

use serde_json::json;

use super::{HOST, setup, tenant, write};
use crate::harness::{Pending, Server, Setup, scripted, until, wat_model_with};

/// A server, not yet started, with twelve slots. The tenants `a`, `b`, `c` and `default` are
/// guaranteed one each.
fn twelve_slots() -> Setup {
    let setup = setup("engine.instances = 12\n");
    for name in ["a", "b", "c"] {
        write(&setup.repository("tenants"), name, &tenant(name, name, ""));
    }
    setup
}

/// Writes a scripted model into a tenant's repository that may have as many instances as there are
/// slots.
fn add(setup: &Setup, name: &str, settings: &str) {
    let models = setup.repository(name);
    models.settings(
        "scripted",
        &format!(
            "{settings}[instances]\nmax = 100\nidle_timeout = '24h'\n[limits]\ndeadline = '10m'"
        ),
    );
    models.version("scripted", 1, scripted("version=1"));
}

/// Keeps this many instances of the tenant's scripted model busy, or waiting.
fn flood(server: &Server, name: &str, requests: usize) -> Vec<Pending> {
    let tenant = server.holder(name);
    (0..requests).map(|_| tenant.begin_behave("scripted", "sleep:600000")).collect()
}

#[test]
fn guaranteed_slots_stay_available() {
    let setup = twelve_slots();
    ["a", "b", "c"].iter().for_each(|name| add(&setup, name, ""));
    let server = setup.start();
    ["a", "b", "c"].iter().for_each(|name| server.holder(name).until_ready("scripted", 1));
    let flooding = [flood(&server, "a", 20), flood(&server, "b", 20)];
    let host = server.holder(HOST);
    until("that all slots but those of others are taken", || {
        let queued = |name| host.naming(name).holds("queue");
        queued("a") + queued("b") == 40 - 10
    });
    let c = server.holder("c");
    for _ in 0..10 {
        assert_eq!(c.behave("scripted", "ok").number("version"), 1);
    }
    server.repository("c").version("scripted", 2, scripted("version=2"));
    until("the new version", || c.behave("scripted", "ok").number("version") == 2);
    // Slots that are given back go to waiting requests.
    let [of_a, of_b] = flooding;
    of_a.into_iter().for_each(Pending::hang_up);
    host.naming("b").until_holds("queue", 20 - 9);
    of_b.into_iter().for_each(Pending::hang_up);
    ["a", "b"].iter().for_each(|name| host.naming(name).until_holds("instances", 0));
    assert_eq!(server.holder("a").behave("scripted", "ok").number("version"), 1);
}

#[test]
fn idle_instances_of_other_tenants_are_reclaimed() {
    let setup = twelve_slots();
    add(&setup, "a", "isolation = 'pooled'\n");
    add(&setup, "b", "");
    let server = setup.start();
    ["a", "b"].iter().for_each(|name| server.holder(name).until_ready("scripted", 1));
    let together: Vec<_> =
        (0..9).map(|_| server.holder("a").begin_behave("scripted", "sleep:500")).collect();
    for pending in together {
        pending.answer().ok();
    }
    let host = server.holder(HOST);
    assert!(host.naming("a").holds("instances") > 3, "instances are kept");
    let flooding = flood(&server, "b", 20);
    // All but the two unused ones, and the one guaranteed to `a`.
    host.naming("b").until_holds("queue", 20 - 9);
    assert_eq!(host.naming("a").holds("instances"), 1);
    flooding.into_iter().for_each(Pending::hang_up);
}

/// A model of twelve core instances, six of them with a table, that returns the number of elements
/// in its tables.
fn many_tables() -> Vec<u8> {
    let each = |text: &dyn Fn(usize) -> String| (0..6).map(text).collect::<String>();
    let modules = r#"(core module $holder (table (export "t") 7 funcref))
        (core module $measurer (import "holder" "t" (table 1 funcref))
            (func (export "size") (result i32) (table.size 0)))"#;
    let instances = each(&|number| {
        format!(
            r#"(core instance $h{number} (instantiate $holder))
               (core instance $m{number} (instantiate $measurer (with "holder" (instance $h{number}))))
               (alias core export $m{number} "size" (core func $s{number}))"#
        )
    });
    let functions = each(&|number| format!(r#"(export "s{number}" (func $s{number}))"#));
    let imports =
        each(&|number| format!(r#"(import "host" "s{number}" (func $s{number} (result i32)))"#));
    let sum =
        each(&|number| format!("(local.set $sum (i32.add (local.get $sum) (call $s{number})))"));
    let module = format!(
        "{imports} (func $answer (result i64) (local $sum i32) {sum} (i64.extend_i32_u (local.get $sum)))"
    );
    wat_model_with(&format!("{modules} {instances}"), &functions, &module)
}

#[test]
fn a_component_takes_the_slots_it_needs() {
    for (instances, fits) in [(3, true), (2, false)] {
        let setup = Server::with_models(|models| models.bare("tables", many_tables()));
        let server = setup.config(&format!("engine.instances = {instances}")).start();
        if fits {
            server.until_ready("tables", 1);
            assert_eq!(server.infer("tables", &json!({ "inputs": [] })).number("answer"), 42);
        } else {
            let words = "needs 3 slots for its memories and tables, and this tenant can have at most 2 of the 2 of engine.instances";
            server.until_refused("tables", 1, words);
        }
    }
}

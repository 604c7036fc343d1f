//! The visibility and the lifetime of values.

use super::{add_key_value_model, ask, ask_of, ask_one, operations, server, setup, start};
use crate::harness::{Server, guest};

#[test]
fn values_are_shared_within_a_tenant() {
    let setup = Server::with_models(|models| {
        add_key_value_model(models, "one", "");
        add_key_value_model(models, "two", "");
    });
    let setup = setup.config("[tenants.default]\n[tenants.other]\nrepository = 'other'");
    add_key_value_model(&setup.repository("other"), "one", "");
    let server = setup.start();
    server.until_tried();
    let (mine, other) = (server.tenant("default"), server.tenant("other"));
    assert_eq!(ask_of(&mine, "one", "set b k mine"), "ok");
    assert_eq!(ask_of(&mine, "two", "get b k"), "mine");
    assert_eq!(ask_of(&other, "one", "get b k"), "none");
    assert_eq!(ask_of(&other, "one", "list b"), "");
    assert_eq!(ask_of(&other, "one", "set b k theirs"), "ok");
    assert_eq!(ask_of(&mine, "two", "get b k"), "mine");
}

#[test]
fn values_outlive_traps_swaps_and_restarts() {
    let server = server();
    let trapped = server
        .infer("key-value-operations", &operations(&["set b before 1", "trap", "set b after 1"]));
    trapped.refused(500, "model_trapped");
    assert_eq!(ask(&server, &["get b before", "get b after"]), ["1", "none"]);
    server.models().version("key-value-operations", 2, guest("key-value-operations"));
    server.until_ready("key-value-operations", 2);
    assert_eq!(ask(&server, &["get b before", "increment b n 1"]), ["1", "1"]);
    let server = start_again(server);
    assert_eq!(ask(&server, &["get b before", "increment b n 1"]), ["1", "2"]);
}

fn start_again(server: Server) -> Server {
    let server = server.stop().start();
    server.until_ready("key-value-operations", 2);
    server
}

#[test]
fn a_pooled_instance_keeps_open_buckets() {
    let server = start(setup("[instances]\nmax = 1\n").argument("--drain-timeout").argument("5s"));
    server.models().settings(
        "key-value-operations",
        "isolation = 'pooled'\n[instances]\nmax = 1\n[capabilities]\nkey_value = true\n",
    );
    crate::harness::until("that it is pooled", || {
        server.config_of("key-value-operations")["wardian"]["isolation"] == "pooled"
    });
    // Every call leaves 40 handles in the same instance, until the limit is reached.
    assert_eq!(ask(&server, &["hold 40", "hold 40", "set b k 1"]), ["ok", "ok", "ok"]);
    let said = ask_one(&server, "hold 40");
    assert!(said.contains("may have 100 buckets"), "{said}");
}

#[test]
fn a_disconnect_leaves_complete_changes_only() {
    let server = server();
    for round in 0..20 {
        let all = [
            format!("set-many b p{round}- 200 v"),
            format!("set-many b q{round}- 200 v"),
            "set-for-ever b k".into(),
        ];
        let all: Vec<_> = all.iter().map(String::as_str).collect();
        let path = "/v2/models/key-value-operations/infer";
        server.call("POST", path).json(&operations(&all)).begin().hang_up();
    }
    for round in 0..20 {
        for prefix in ["p", "q"] {
            let said = ask_one(&server, &format!("get-many b {prefix}{round}- 200"));
            assert!(["0 0", "200 200"].contains(&said.as_str()), "{said}");
        }
    }
}

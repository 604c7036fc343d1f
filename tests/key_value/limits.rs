//! Each limit, and the error at it.

use super::{GRANT, add_key_value_model, ask, ask_of, ask_one, server, setup, start};
use crate::harness::{Server, guest};

#[test]
fn names_and_values_have_limits() {
    let server = server();
    for (operation, words) in [
        ("set b *513 v", "a key has 1 to 512 bytes; this one has 513"),
        ("set b  v", "a key has 1 to 512 bytes; this one has 0"),
        ("get b *100000", "this one has 100000"),
        ("page b *513", "this one has 513"),
        ("set b k *1048577", "a value has at most 1048576 bytes; this one has 1048577"),
        ("set-many b p 1001 v", "there may be 1000 keys in one operation; these are 1001"),
        ("get-many b p 1001", "there may be 1000 keys in one operation; these are 1001"),
        ("delete-many b p 1001", "there may be 1000 keys in one operation; these are 1001"),
        ("hold 101", "100 buckets and compare-and-swap handles"),
        ("hold-cas b k 100", "100 buckets and compare-and-swap handles"),
    ] {
        let said = ask_one(&server, operation);
        assert!(said.starts_with("other: ") && said.contains(words), "{operation}: {said}");
    }
    assert_eq!(ask(&server, &["set b *512 v", "get b *512", "hold 99"]), ["ok", "v", "ok"]);
    for name in ["a/b", "..\u{e4}", "*65", "a%20b"] {
        assert_eq!(ask_one(&server, &format!("get {name} k")), "no-such-store");
    }
    server.until_logged("a bucket is named by 1 to 64");
}

#[test]
fn bytes_per_operation_are_limited() {
    let server = server();
    assert_eq!(ask(&server, &["set-many b p 4 *1048576", "get-many b p 4"]), ["ok", "4 4194304"]);
    let said = ask(&server, &["set b p00004 v", "get-many b p 5"]);
    assert!(said[1].contains("more than 4194304 bytes together"), "{said:?}");
    let said = ask(&server, &["set-many b q 5 *1048576", "get-many b q 4"]);
    assert!(said[0].contains("more than 4194304 bytes together") && said[1] == "0 0", "{said:?}");
}

#[test]
fn operations_per_call_are_limited() {
    let server = server();
    let said = ask_one(&server, "set-for-ever b k");
    assert!(said.contains("a call may make 10000 operations"), "{said}");
    // One of them opened the bucket. Another call may make as many again.
    assert_eq!(ask_one(&server, "get b k"), "9999");
    assert!(server.metric("wardian_tenant_key_value_operations_total").unwrap() >= 10_002.0);
}

#[test]
fn the_data_quota_is_enforced() {
    let setup = setup("").config("[tenants.default.quota]\ndata = '2MiB'");
    let server = start(setup);
    let fill: Vec<_> = (0..3).map(|number| format!("set b k{number} *600000")).collect();
    let fill: Vec<_> = fill.iter().map(String::as_str).collect();
    assert_eq!(ask(&server, &fill), ["ok", "ok", "ok"]);
    for operation in ["set b more *600000", "set-many b p 10 *100000", "beaten b more *600000 x"] {
        let said = ask_one(&server, operation);
        assert!(said.contains("this tenant's quota data (2MiB) is used up"), "{operation}: {said}");
    }
    // The write fails as a whole, and existing values stay readable.
    assert_eq!(
        ask(&server, &["get-many b p 10", "get b more", "get b k2"]),
        ["0 0", "none", "600000 bytes"]
    );
    let all = ["increment b n 1", "delete b k0", "set b more *600000", "get b more"];
    assert_eq!(ask(&server, &all), ["1", "ok", "ok", "600000 bytes"]);
}

#[test]
fn handles_count_as_tenant_memory() {
    let server = Server::with_models(|models| {
        add_key_value_model(models, "key-value-operations", "[limits]\nmemory = '32MiB'")
    });
    let server = start(server.config("[tenants.default.quota]\nmemory = '12MiB'"));
    let said = ask(&server, &["set b k *1048576", "hold-cas b k 50"]);
    assert!(said[1].contains("memory"), "{said:?}");
    // All of it is released with the instance.
    server.tenant("default").until_holds("memory", 0);
    assert_eq!(ask_one(&server, "hold-cas b k 1"), "ok");
}

#[test]
fn a_missing_key_value_grant_is_explained() {
    let server = Server::with_models(|models| {
        models.bare("bare", guest("key-value-operations"));
        models.settings("off", "[capabilities]\nkey_value = false");
        models.version("off", 1, guest("key-value-operations"));
    });
    let server = server.start();
    for name in ["bare", "off"] {
        server.until_refused(name, 1, "[capabilities] key_value = true");
        assert!(server.entry(name, 1).unwrap().reason.contains("'wasi:keyvalue/"), "{name}");
    }
    // The same component, once it has the grant.
    server.models().settings("off", GRANT);
    server.until_ready("off", 1);
    assert_eq!(ask_of(&server.tenant("default"), "off", "increment b n 1"), "1");
}

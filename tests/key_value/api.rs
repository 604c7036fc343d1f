//! The key-value routes for operators.

use serde_json::json;

use super::{ask, ask_one, server, setup, start};

#[test]
fn operators_and_models_share_values() {
    let server = server();
    let put = server.call("PUT", "/v2/keyvalue/b/a%2Fb%20%C3%A4").body(*b"\0\xff seed").send();
    assert_eq!(put.ok().json(), json!({ "bucket": "b", "key": "a/b \u{e4}", "size": 7 }));
    let got = server.get("/v2/keyvalue/b/a%2Fb%20%C3%A4");
    assert_eq!(
        (got.header("content-type"), &got.ok().body[..]),
        (Some("application/octet-stream"), &b"\0\xff seed"[..])
    );
    server.call("PUT", "/v2/keyvalue/b/n").body(*b"41").send().ok();
    assert_eq!(ask(&server, &["increment b n 1", "exists b a/b\u{a0}"])[0], "42");
    assert_eq!(server.get("/v2/keyvalue/b/n").body, b"42");
    assert_eq!(server.call("DELETE", "/v2/keyvalue/b/n").send().ok().json()["key"], "n");
    assert_eq!(ask_one(&server, "get b n"), "none");
    for method in ["GET", "DELETE"] {
        server.call(method, "/v2/keyvalue/b/n").send().refused(404, "key_not_found");
    }
}

#[test]
fn buckets_and_keys_are_paged() {
    let server = server();
    assert_eq!(ask(&server, &["set-many b p 5 v", "set a k v", "set c k v"]), ["ok", "ok", "ok"]);
    assert_eq!(
        server.get("/v2/keyvalue").ok().json(),
        json!({ "buckets": ["a", "b", "c"], "cursor": null })
    );
    let page = server.get("/v2/keyvalue?limit=2").ok().json();
    assert_eq!(page, json!({ "buckets": ["a", "b"], "cursor": "b" }));
    let page = server.get("/v2/keyvalue/b?limit=2&cursor=p00001").ok().json();
    assert_eq!(page, json!({ "bucket": "b", "keys": ["p00002", "p00003"], "cursor": "p00003" }));
    let page = server.get("/v2/keyvalue/b?cursor=p00003").ok().json();
    assert_eq!(page, json!({ "bucket": "b", "keys": ["p00004"], "cursor": null }));
    assert_eq!(server.get("/v2/keyvalue/none").ok().json()["keys"], json!([]));
}

#[test]
fn invalid_names_and_large_values_are_refused() {
    let server = start(setup("").config("[tenants.default.quota]\ndata = '1MiB'"));
    let put = |path: &str, size: usize| server.call("PUT", path).body(vec![7; size]).send();
    put("/v2/keyvalue/a%2Fb/k", 1).refused(400, "invalid_input");
    put(&format!("/v2/keyvalue/b/{}", "x".repeat(513)), 1).refused(400, "invalid_input");
    // The refusal comes before the client has sent the body.
    let large = server.call("PUT", "/v2/keyvalue/b/k").announce((1 << 20) + 1).send();
    large.refused(413, "request_too_large");
    put("/v2/keyvalue/b/k", 1 << 20).refused(429, "quota_exceeded");
    put("/v2/keyvalue/b/k", 1 << 19).ok();
    server.get("/v2/keyvalue/b?limit=x").refused(400, "invalid_input");
    server.get("/v2/keyvalue/a%2Fb").refused(400, "invalid_input");
    server.get("/v2/keyvalue/b/%ff").refused(404, "not_found");
}

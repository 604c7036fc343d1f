//! The quota of management requests with scope `admin`.

use std::cell::RefCell;

use super::{HOST, key, setup, write};
use crate::harness::{Pending, Tenant, until};

/// Requests that one key may have in progress.
const MAX_REQUESTS: usize = 1024;

/// Starts a request that stays in progress: its body never ends.
fn unfinished(holder: &Tenant<'_>) -> Pending {
    holder.call("PUT", "/v2/keyvalue/bucket/key").body(b"x".to_vec()).announce(1000).begin()
}

#[test]
fn the_quota_of_an_admin_key_affects_no_other_key() {
    let setup = setup("");
    let keys = [key("a-manage", &["manage"]), key("a-admin", &["admin"])].join(", ");
    write(&setup.repository("tenants"), "a", &format!("repository = 'a'\nkeys = [{keys}]"));
    setup.repository("a");
    let server = setup.start();
    let host = server.holder(HOST).naming("a");

    let held: Vec<_> = (0..MAX_REQUESTS).map(|_| unfinished(&host)).collect();
    let held = RefCell::new(held);
    until("that the key's quota is used up", || {
        let used_up = host.get("/v2/usage").status == 429;

        // This request may have been counted when the last of those above came.
        if !used_up {
            held.borrow_mut().push(unfinished(&host));
        }
        used_up
    });
    let refused = host.get("/v2/usage");
    assert_eq!(refused.json()["code"], "quota_exceeded", "{refused}");
    assert_eq!(refused.json()["quota"], "admin_requests", "{refused}");

    // The tenant whose name the key uses loses nothing, nor does another key with scope admin.
    for other in ["a-manage", "a-admin"] {
        server.holder(other).get("/v2/usage").ok();
    }
    server.holder("a-admin").until_holds("concurrency", 0);

    drop(held);
    until("that the quota is given back", || host.get("/v2/usage").status == 200);
}

//! The quota of management requests with scope `admin`.

use super::{HOST, key, setup, write};
use crate::harness::{Pending, Tenant, until};

/// Requests that one key may have in progress.
const MAX_REQUESTS: usize = 1024;

/// Starts a request that stays in progress: its body never ends.
fn unfinished(holder: &Tenant<'_>) -> Pending {
    holder.call("PUT", "/v2/keyvalue/bucket/key").body(b"x".to_vec()).announce(1000).begin()
}

#[test]
fn an_admin_key_that_uses_its_quota_up_is_refused_alone() {
    let setup = setup("");
    let keys = [key("a-manage", &["manage"]), key("a-admin", &["admin"])].join(", ");
    write(&setup.repository("tenants"), "a", &format!("repository = 'a'\nkeys = [{keys}]"));
    setup.repository("a");
    let server = setup.start();
    let host = server.holder(HOST).naming("a");

    let held: Vec<_> = (0..MAX_REQUESTS).map(|_| unfinished(&host)).collect();
    until("that the key's quota is used up", || host.get("/v2/usage").status == 429);
    let refused = host.get("/v2/usage");
    assert_eq!(refused.json()["code"], "quota_exceeded", "{refused}");
    assert_eq!(refused.json()["quota"], "admin_requests", "{refused}");

    // The tenant whose name the key uses loses nothing, nor does another key with scope admin.
    for other in ["a-manage", "a-admin"] {
        server.holder(other).get("/v2/usage").ok();
    }
    assert_eq!(server.holder("a-admin").holds("concurrency"), 0);

    drop(held);
    until("that the quota is given back", || host.get("/v2/usage").status == 200);
}

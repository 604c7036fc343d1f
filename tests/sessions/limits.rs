//! What a session, a task and a tenant may be and have at most.

use serde_json::json;

use super::{ask, begin, quota, setup, started, state};
use crate::harness::{Server, until};

/// A server whose only tenant has that quota.
fn with_quota(quota: &str, settings: &str) -> Server {
    let setup = setup("").config(&format!(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['admin'] }}]\n[tenants.a.quota]\n{quota}",
        wardian::model::Digest::of(b"key")
    ));
    super::keeper(&setup.repository("a"), settings);
    setup.start()
}

#[test]
fn a_state_has_a_limit() {
    let server = started("[sessions]\nmax_size = \"1KiB\"\n");
    begin(&server, "s", "say a").ok();
    ask(&server, "s", "fill 1025").refused(500, "model_failed");
    assert_eq!(state(&server, "s"), "a");
    ask(&server, "s", "fill 1024").ok();
}

#[test]
fn what_one_call_leaves_behind_has_limits() {
    let server = started("[deferred]\nper_call = 3\npayload = \"1KiB\"\n");
    begin(&server, "s", "").ok();
    ask(&server, "s", "defer-many 4").refused(500, "model_failed");
    ask(&server, "s", "defer-bytes 1025").refused(500, "model_failed");
    ask(&server, "s", "defer-many 3; say a").ok();
    assert_eq!(state(&server, "s"), "a 0 1 2");
}

#[test]
fn a_task_that_goes_on_for_ever_ends() {
    let server = started("[limits]\ndeadline = \"60s\"\n");
    begin(&server, "s", "again").ok();
    let state = state(&server, "s");
    // The request itself, and as many tasks as one request may lead to.
    assert_eq!(state.split(' ').count(), 1 + 256 - 1, "the last one could leave nothing behind and failed: {state}");
    until("that it was given up", || super::tasks(&server).iter().any(|task| task["state"] == "failed"));
}

#[test]
fn a_tenant_has_so_many_sessions_and_tasks() {
    let server = with_quota("sessions = 2\ntasks = 2\n", "[deferred]\npause = \"1h\"\ntries = 9\n");
    let infer = |session: &str, start: bool, orders: &str| {
        let body = super::request(session, start, orders);
        server.call("POST", "/v2/models/keeper/infer").header("x-api-key", "key").json(&body).send()
    };
    let get = |path: &str| server.call("GET", path).header("x-api-key", "key").send();
    until("that it serves", || infer("a", true, "").status == 200);
    infer("b", true, "").ok();
    let refused = infer("c", true, "");
    assert_eq!((refused.status, &refused.json()["quota"]), (429, &json!("sessions")), "{refused}");
    infer("b", true, "say again").ok();
    infer("a", false, "defer fail").ok();
    infer("b", false, "say kept; defer fail").ok();
    let body = json!({ "inputs": [], "parameters": { "do": "defer sleep 1" } });
    let refused = server.call("POST", "/v2/models/keeper/infer").header("x-api-key", "key").json(&body).send();
    assert_eq!((refused.status, &refused.json()["quota"]), (429, &json!("tasks")), "{refused}");
    let usage = get("/v2/usage").json();
    assert_eq!(
        (&usage["quota"]["sessions"], &usage["quota"]["tasks"]),
        (&json!({"used": 2, "limit": 2}), &json!({"used": 2, "limit": 2}))
    );
    assert!(usage["quota"]["data"]["used"].as_u64().unwrap() > 0);
    for line in [
        "wardian_tasks_waiting{tenant=\"a\",model=\"keeper\"} 2",
        "wardian_tenant_limit{tenant=\"a\",resource=\"tasks\"} 2",
        "wardian_tenant_refusals_total{tenant=\"a\"} 2",
    ] {
        until(line, || get("/metrics").text().contains(&format!("{line}\n")));
    }
}

#[test]
fn a_tenant_keeps_so_many_bytes() {
    let server = with_quota("data = \"400KiB\"\n", "");
    let infer = |session: &str, orders: &str| {
        let body = super::request(session, true, orders);
        server.call("POST", "/v2/models/keeper/infer").header("x-api-key", "key").json(&body).send()
    };
    until("that it serves", || infer("a", "fill 100000").status == 200);
    let refused = infer("b", "fill 500000");
    assert_eq!((refused.status, &refused.json()["quota"]), (429, &json!("data")), "{refused}");
    // What it kept before is kept, and there is room for what fits.
    infer("c", "fill 100").ok();
}

#[test]
fn a_store_that_cannot_be_used_is_told() {
    let setup = setup("");
    let folder = setup.state().join("tenants/default");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(folder.join("store.sqlite"), "this is no database at all, whatever its name may say").unwrap();
    let server = setup.start();
    server.until_ready("keeper", 1);
    begin(&server, "s", "say a").refused(503, "store_unavailable");
    // Whoever needs no session is served.
    let _ = quota(&server, "sessions");
}

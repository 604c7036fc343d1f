//! Tenants change while the server runs, without an effect on other requests.

use std::sync::atomic::{AtomicBool, Ordering};

use serde_json::{Value, json};

use super::{EAGER, HOST, add_scripted, key, setup, tenant, until_known, until_unknown, write};
use crate::harness::{Models, Server, Tenant, until};

/// Starts a server with the tenant `steady`. Returns the folder of its tenants as well.
fn server() -> (Server, Models) {
    let setup = setup(EAGER);
    let folder = setup.repository("tenants");
    write(&folder, "steady", &tenant("steady", "steady-key", ""));
    add_scripted(&setup.repository("steady"), "scripted", 1);
    add_scripted(&setup.repository("c"), "scripted", 3);
    let server = setup.start();
    server.until_tried();
    (server, folder)
}

/// Runs `work` while a tenant sends requests, and asserts that all of them succeed.
fn unnoticed(server: &Server, work: impl FnOnce()) {
    struct End<'a>(&'a AtomicBool);
    impl Drop for End<'_> {
        fn drop(&mut self) {
            self.0.store(true, Ordering::Relaxed);
        }
    }
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        let asking = scope.spawn(|| {
            let mut answers = 0;
            while answers == 0 || !over.load(Ordering::Relaxed) {
                assert_eq!(
                    server.holder("steady-key").behave("scripted", "ok").number("version"),
                    1
                );
                answers += 1;
            }
            answers
        });
        let end = End(&over);
        work();
        drop(end);
        println!("{} answers meanwhile", asking.join().unwrap());
    });
}

/// Returns a tenant's entry as the host sees it.
fn shown(server: &Server, name: &str) -> Option<Value> {
    let all = server.holder(HOST).get("/v2/tenants").ok().json();
    all["tenants"].as_array().unwrap().iter().find(|shown| shown["tenant"] == name).cloned()
}

#[test]
fn a_tenant_is_added_changed_and_removed() {
    let (server, folder) = server();
    unnoticed(&server, || {
        write(&folder, "c", &tenant("c", "c-key", ""));
        until_known(&server.holder("c-key"));
        server.holder("c-key").until_ready("scripted", 1);
        assert_eq!(server.holder("c-key").behave("scripted", "ok").number("version"), 3);
        keys_change(&server, &folder);
        quotas_change(&server, &folder);
        the_weight_changes(&server, &folder);
        the_repository_moves(&server, &folder);
        it_goes(&server, &folder);
        write(&folder, "c", &tenant("c", "c-key", ""));
        until_known(&server.holder("c-key"));
        server.holder("c-key").until_ready("scripted", 1);
    });
    assert_eq!(server.holder(HOST).get("/v2/tenants").json()["faults"], json!([]));
}

fn keys_change(server: &Server, folder: &Models) {
    write(folder, "c", &tenant("c", "c-other", ""));
    until_known(&server.holder("c-other"));
    server.holder("c-key").get("/v2/usage").refused(401, "unknown_key");
    let both = [key("c-key", &["infer"]), key("c-other", &["infer", "manage"])].join(", ");
    write(folder, "c", &format!("repository = 'c'\nkeys = [{both}]"));
    until_known(&server.holder("c-key"));
    server.holder("c-key").call("GET", "/v2/logs").send().refused(403, "forbidden");
    write(folder, "c", "repository = 'c'\n");
    until_unknown(&server.holder("c-key"));
    server.holder("c-other").behave("scripted", "ok").refused(401, "unknown_key");
    server.holder(HOST).naming("c").behave("scripted", "ok").ok();
}

fn quotas_change(server: &Server, folder: &Models) {
    for quota in ["concurrency", "requests_per_second"] {
        let limited = |limit: u64| tenant("c", "c-key", &format!("[quota]\n{quota} = {limit}"));
        let c = server.holder("c-key");
        write(folder, "c", &limited(0));
        until(&format!("the quota of {quota}"), || c.behave("scripted", "ok").status == 429);
        let refusal = c.behave("scripted", "ok");
        assert_eq!(
            (refusal.json()["code"].as_str(), refusal.json()["quota"].as_str()),
            (Some("quota_exceeded"), Some(quota))
        );
        assert!(refusal.header("retry-after").is_some(), "{refusal}");
        // Other routes count as well, except for requests with an admin key.
        assert_eq!(c.get("/v2/usage").json()["quota"], quota);
        server.holder(HOST).naming("c").get("/v2/usage").ok();
        write(folder, "c", &limited(1000));
        until("the larger quota", || c.behave("scripted", "ok").status == 200);
    }
}

fn the_weight_changes(server: &Server, folder: &Models) {
    assert_eq!(shown(server, "c").unwrap()["weight"], 1);
    write(folder, "c", &format!("weight = 7\n{}", tenant("c", "c-key", "")));
    until("the other weight", || shown(server, "c").unwrap()["weight"] == 7);
}

fn the_repository_moves(server: &Server, folder: &Models) {
    let c = server.holder("c-key");
    add_scripted(&server.repository("c-moved"), "scripted", 4);
    add_scripted(&server.repository("c-moved"), "another", 5);
    write(folder, "c", &tenant("c-moved", "c-key", ""));
    c.until_ready("another", 1);
    until("what lies in the other place", || {
        let answer = c.behave("scripted", "ok");
        assert_eq!(answer.status, 200, "{answer}");
        answer.number("version") == 4
    });
    write(folder, "c", &tenant("c", "c-key", ""));
    until("the end of what was there", || c.get("/v2/models/another").status == 404);
    until("what was here before", || c.behave("scripted", "ok").number("version") == 3);
}

fn it_goes(server: &Server, folder: &Models) {
    let (c, host) = (server.holder("c-key"), server.holder(HOST));
    let long = c.begin_behave("scripted", "sleep:3000");
    c.until_holds("instances", 1);
    folder.remove("c.toml");
    until_unknown(&c);
    host.naming("c").get("/v2/models").refused(404, "tenant_not_found");
    assert_eq!(shown(server, "c"), None);
    let answer = long.answer();
    assert_eq!(answer.number("version"), 3, "{answer}");
    until("the end of its metrics", || !host.get("/metrics").text().contains("tenant=\"c\""));
    server.until_logged("unloaded");
}

#[test]
fn a_load_belongs_to_the_recreated_tenant() {
    let (server, folder) = server();
    server.repository("slow").settings("slow", "[capabilities]\nkey_value = true");
    server.repository("slow").version(
        "slow",
        1,
        crate::harness::scripted("version=6;load=slow:3000"),
    );
    write(&folder, "slow", &tenant("slow", "before", "[quota]\ndata = '64KiB'"));
    let host: Tenant<'_> = server.holder(HOST).naming("slow");
    until_known(&host);
    host.until_state("slow", 1, "LOADING");
    folder.remove("slow.toml");
    until_unknown(&server.holder("before"));
    write(&folder, "slow", &tenant("slow", "after", "[quota]\ndata = '10MiB'"));
    let after = server.holder("after");
    until_known(&after);
    after.until_ready("slow", 1);
    after.behave("slow", "log").ok();
    // Serving models are charged to the present tenant, and not to the removed one of the same
    // name.
    assert!(after.get("/v2/logs").text().contains("the script says to log"));
    let long = after.begin_behave("slow", "sleep:600000");
    after.until_holds("instances", 1);
    long.hang_up();
    assert_eq!(after.holds("models"), 1);
    // Stored values are as well.
    let kept = after.call("PUT", "/v2/keyvalue/slow/large").body(vec![0; 1 << 20]).send();
    kept.ok();
    assert!(after.holds("data") > 1 << 20, "{}", after.holds("data"));
}

#[test]
fn sighup_applies_files_at_once() {
    let setup = setup("poll_interval = '1h'\nrescan_interval = '1h'\n");
    let folder = setup.repository("tenants");
    let server = setup.start();
    write(&folder, "c", &tenant("c", "c-key", ""));
    assert_eq!(server.holder("c-key").get("/v2/usage").status, 401);
    server.reload();
    until_known(&server.holder("c-key"));
    folder.remove("c.toml");
    server.reload();
    until_unknown(&server.holder("c-key"));
}

//! Limits of sessions, tasks and tenants.

use serde_json::json;

use super::{ask, begin, quota, setup, started, state};
use crate::harness::{Server, until};

/// Starts a server whose only tenant has this quota.
fn with_quota(quota: &str, settings: &str) -> Server {
    let setup = setup("").config(&format!(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['admin'] }}]\n[tenants.a.quota]\n{quota}",
        wardian::model::Digest::sha256(b"key")
    ));
    super::session_words(&setup.repository("a"), settings);
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
fn tasks_per_call_are_limited() {
    let server = started("[deferred]\nper_call = 3\npayload = \"1KiB\"\n");
    begin(&server, "s", "").ok();
    ask(&server, "s", "defer-many 4").refused(500, "model_failed");
    ask(&server, "s", "defer-bytes 1025").refused(500, "model_failed");
    ask(&server, "s", "defer-many 3; say a").ok();
    assert_eq!(state(&server, "s"), "a 0 1 2");
}

#[test]
fn an_endless_task_chain_ends() {
    let server = started("[limits]\ndeadline = \"60s\"\n");
    begin(&server, "s", "again").ok();
    let state = state(&server, "s");
    // The request itself, and as many tasks as one request may lead to.
    assert_eq!(
        state.split(' ').count(),
        1 + 256 - 1,
        "the last one could leave nothing behind and failed: {state}"
    );
    until("that it was given up", || {
        super::tasks(&server).iter().any(|task| task["state"] == "failed")
    });
}

#[test]
fn session_and_task_quotas_are_enforced() {
    let server = with_quota("sessions = 2\ntasks = 2\n", "[deferred]\npause = \"1h\"\ntries = 9\n");
    let infer = |session: &str, start: bool, orders: &str| {
        let body = super::request(session, start, orders);
        server
            .call("POST", "/v2/models/session-words/infer")
            .header("x-api-key", "key")
            .json(&body)
            .send()
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
    let refused = server
        .call("POST", "/v2/models/session-words/infer")
        .header("x-api-key", "key")
        .json(&body)
        .send();
    assert_eq!((refused.status, &refused.json()["quota"]), (429, &json!("tasks")), "{refused}");
    let usage = get("/v2/usage").json();
    assert_eq!(
        (&usage["quota"]["sessions"], &usage["quota"]["tasks"]),
        (&json!({"used": 2, "limit": 2}), &json!({"used": 2, "limit": 2}))
    );
    assert!(usage["quota"]["data"]["used"].as_u64().unwrap() > 0);
    for line in [
        "wardian_tasks_waiting{tenant=\"a\",model=\"session-words\"} 2",
        "wardian_tenant_limit{tenant=\"a\",resource=\"tasks\"} 2",
        "wardian_tenant_refusals_total{tenant=\"a\"} 2",
    ] {
        until(line, || get("/metrics").text().contains(&format!("{line}\n")));
    }
}

#[test]
fn the_data_quota_covers_sessions() {
    let server = with_quota("data = \"400KiB\"\n", "");
    let infer = |session: &str, orders: &str| {
        let body = super::request(session, true, orders);
        server
            .call("POST", "/v2/models/session-words/infer")
            .header("x-api-key", "key")
            .json(&body)
            .send()
    };
    until("that it serves", || infer("a", "fill 100000").status == 200);
    let refused = infer("b", "fill 500000");
    assert_eq!((refused.status, &refused.json()["quota"]), (429, &json!("data")), "{refused}");
    // Its earlier state is kept, and smaller writes succeed.
    infer("c", "fill 100").ok();
}

#[test]
fn an_unusable_store_is_reported() {
    let setup = setup("");
    let folder = setup.state().join("tenants/default");
    std::fs::create_dir_all(&folder).unwrap();
    std::fs::write(
        folder.join("store.sqlite"),
        "this is no database at all, whatever its name may say",
    )
    .unwrap();
    let server = setup.start();
    server.until_ready("session-words", 1);
    begin(&server, "s", "say a").refused(503, "store_unavailable");
    // Requests without a session are served, unless they leave tasks.
    let _ = quota(&server, "sessions");
    ask_alone(&server, "").ok();
    ask_alone(&server, "defer say a").refused(503, "store_unavailable");
}

#[test]
fn task_completion_is_stored_at_the_quota() {
    let settings = "[deferred]\npause = \"1h\"\ntries = 2\n[instances]\nmax = 64\n";
    let setup = setup(settings).config("[tenants.default]\nquota = { data = \"128KiB\" }\n");
    let server = setup.start();
    server.until_ready("session-words", 1);
    // Each error names all functions that the task was in.
    for number in 0..24 {
        begin(&server, &format!("s{number}"), "defer sleep 5000, trap").ok();
    }
    for size in [16384, 4096, 1024, 256, 64] {
        let put = |number: u32| {
            server
                .call("PUT", &format!("/v2/keyvalue/b/{size}-{number}"))
                .body(vec![b'x'; size])
                .send()
                .status
        };
        assert!((0..).map(put).any(|status| status != 200), "it has no end");
    }
    let written = |task: &serde_json::Value| task["state"] == "waiting" && task["tries"] == 1;
    until("that every failure is written", || {
        let listed = super::tasks(&server);
        listed.len() == 24 && listed.iter().all(written)
    });
    // Afterwards no task holds the version that tried them.
    server.models().version("session-words", 2, crate::harness::guest("session-words"));
    server.until_ready("session-words", 2);
    let first = "wardian_requests_total{tenant=\"default\",model=\"session-words\",version=\"1\"}";
    until("that the first version has gone", || server.metric(first).is_none());
}

#[test]
fn an_idle_instance_holds_no_session_state() {
    let settings = "isolation = \"pooled\"\n[limits]\nmemory = \"256MiB\"\ndeadline = \"60s\"\n[instances]\nmin = 8\nmax = 8\n";
    let server = started(settings);
    let eight_at_once = |body: &dyn Fn(usize) -> serde_json::Value| {
        let begin = |number| {
            server.call("POST", "/v2/models/session-words/infer").json(&body(number)).begin()
        };
        let begun: Vec<_> = (0..8).map(begin).collect();
        server.until_busy("session-words", 8);
        for pending in begun {
            pending.answer().ok();
        }
        server.metric("wardian_tenant_held{tenant=\"default\",resource=\"memory\"}").unwrap()
    };
    let fill =
        |number: usize| super::request(&format!("s{number}"), true, "fill 1048576; sleep 2000");
    let [filled, alone] = [eight_at_once(&fill), eight_at_once(&|_| alone("sleep 2000"))];
    assert_eq!(filled, alone);
}

#[test]
fn a_new_state_counts_against_memory_until_it_is_committed() {
    const STATE: u64 = 1 << 20;
    let server = started("");
    begin(&server, "s", "").ok();

    let file = server.state().join("tenants/default/store.sqlite");
    let store = rusqlite::Connection::open(file).unwrap();
    // The host's own writes wait for the file for up to 5 s.
    let lock = || store.execute_batch("BEGIN IMMEDIATE").unwrap();
    let unlock = || store.execute_batch("ROLLBACK").unwrap();
    let fill = || {
        let body = super::request("s", false, &format!("fill {STATE}"));
        server.call("POST", "/v2/models/session-words/infer").json(&body).begin()
    };
    let used = || quota(&server, "memory")["used"].as_u64().unwrap();

    lock();
    let waiting = fill();
    // The instance and its memory are gone by then.
    until("that only the state counts", || used() == STATE);
    unlock();
    waiting.answer().ok();
    until("that nothing counts", || used() == 0);

    lock();
    let waiting = fill();
    until("that only the state counts", || used() == STATE);
    waiting.hang_up();
    until("that the request is gone", || quota(&server, "concurrency")["used"] == 0);
    assert_eq!(used(), STATE, "the commit goes on without its caller");
    unlock();
    until("that nothing counts", || used() == 0);
}

/// A request without a session.
fn alone(orders: &str) -> serde_json::Value {
    json!({ "inputs": [], "parameters": { "do": orders } })
}

fn ask_alone(server: &Server, orders: &str) -> crate::harness::Response {
    server.infer("session-words", &alone(orders))
}

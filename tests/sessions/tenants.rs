//! Session names are local to one model of one tenant.

use serde_json::json;

use wardian::model::Digest;

use crate::harness::{Response, Server, until};

#[test]
fn session_names_are_local_to_a_model() {
    let setup = Server::with_models(|_| {}).config(&format!(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['infer', 'manage'] }}]\n\
         [tenants.b]\nrepository = 'b'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['infer', 'manage'] }}]\n",
        Digest::sha256(b"a"),
        Digest::sha256(b"b")
    ));
    for (tenant, model) in [("a", "one"), ("a", "two"), ("b", "one")] {
        setup.repository(tenant).version(model, 1, crate::harness::guest("session-words"));
    }
    let server = setup.start();
    let infer = |tenant: &str, model: &str, start: bool, orders: &str| -> Response {
        let path = format!("/v2/models/{model}/infer");
        server
            .call("POST", &path)
            .header("x-api-key", tenant)
            .json(&super::request("s", start, orders))
            .send()
    };
    let get = |tenant: &str, path: &str| {
        server.call("GET", path).header("x-api-key", tenant).send().ok().json()
    };
    for (tenant, model) in [("a", "one"), ("a", "two"), ("b", "one")] {
        until("that it serves", || {
            infer(tenant, model, true, &format!("say {tenant}-{model}")).status == 200
        });
    }
    for (tenant, model) in [("a", "one"), ("a", "two"), ("b", "one")] {
        assert_eq!(super::words(&infer(tenant, model, false, "")), format!("{tenant}-{model}"));
    }
    infer("a", "one", false, "defer sleep 20000").ok();
    let task = get("a", "/v2/tasks")["tasks"][0]["id"].as_str().unwrap().to_owned();
    assert_eq!(get("b", "/v2/tasks")["tasks"], json!([]));
    let path = format!("/v2/tasks/{task}");
    server.call("DELETE", &path).header("x-api-key", "b").send().refused(404, "task_not_found");
    let sessions = "/v2/models/two/sessions";
    server.call("GET", sessions).header("x-api-key", "b").send().refused(404, "model_not_found");
    // The other tenant's session of the same name does not wait for this task.
    infer("b", "one", false, "").ok();
    let path = "/v2/models/one/sessions/s";
    assert_eq!(server.call("DELETE", path).header("x-api-key", "b").send().status, 200);
    assert_eq!(get("a", sessions)["sessions"].as_array().unwrap().len(), 1);
}

#[test]
fn a_returning_tenant_keeps_its_sessions() {
    let setup = Server::with_models(|_| {})
        .config("poll_interval = '20ms'\nsettle = '20ms'\n[tenants.default]\n");
    let tenants = setup.repository("tenants");
    setup.repository("c").settings("session-words", "[limits]\ndeadline = '60s'");
    setup.repository("c").version("session-words", 1, crate::harness::guest("session-words"));
    tenants.put("c.toml", "repository = 'c'");
    let server = setup.start();
    let c = server.tenant("c");
    until("that the tenant is there", || c.get("/v2/usage").status == 200);
    c.until_ready("session-words", 1);
    c.infer("session-words", &super::request("s", true, "say first")).ok();
    let orders = [
        ("s", "sleep 5000; defer say task, sleep 10; say a", "first a"),
        // Without a session.
        ("", "sleep 5000; defer sleep 20", ""),
    ];
    let begun = orders.map(|(session, orders, _)| {
        let mut body = super::request(session, false, orders);
        if session.is_empty() {
            body["parameters"].as_object_mut().unwrap().remove("sequence_id");
        }
        c.call("POST", "/v2/models/session-words/infer").json(&body).begin()
    });
    until("that both are under way", || server.log().matches("sleeps for 5000 ms").count() == 2);
    tenants.remove("c.toml");
    until("that the tenant is gone", || c.get("/v2/usage").status == 404);
    tenants.put("c.toml", "repository = 'c'");
    until("that the tenant is back", || c.get("/v2/usage").status == 200);
    c.until_ready("session-words", 1);
    // The running request and its task finish first, and nothing is lost.
    assert_eq!(
        super::words(&c.infer("session-words", &super::request("s", false, "say b"))),
        "first a task b"
    );
    for (pending, (_, _, state)) in begun.into_iter().zip(orders) {
        assert_eq!(super::words(&pending.answer()), state);
    }
    until("that every task is done", || c.get("/v2/tasks").ok().json()["tasks"] == json!([]));
    let done = "wardian_tasks_total{tenant=\"c\",model=\"session-words\",outcome=\"done\"}";
    assert_eq!(server.metric(done), Some(3.0));
}

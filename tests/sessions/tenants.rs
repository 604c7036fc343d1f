//! A session's name means something within one tenant's model and nowhere else.

use serde_json::json;

use wardian::model::Digest;

use crate::harness::{Response, Server, until};

#[test]
fn the_same_name_is_another_session_for_another_tenant_and_another_model() {
    let setup = Server::with_models(|_| {}).config(&format!(
        "[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['infer', 'manage'] }}]\n\
         [tenants.b]\nrepository = 'b'\nkeys = [{{ id = 'k', sha256 = '{}', scopes = ['infer', 'manage'] }}]\n",
        Digest::of(b"a"),
        Digest::of(b"b")
    ));
    for (tenant, model) in [("a", "one"), ("a", "two"), ("b", "one")] {
        setup.repository(tenant).version(model, 1, crate::harness::guest("keeper"));
    }
    let server = setup.start();
    let infer = |tenant: &str, model: &str, start: bool, orders: &str| -> Response {
        let path = format!("/v2/models/{model}/infer");
        server.call("POST", &path).header("x-api-key", tenant).json(&super::request("s", start, orders)).send()
    };
    let get = |tenant: &str, path: &str| server.call("GET", path).header("x-api-key", tenant).send().ok().json();
    for (tenant, model) in [("a", "one"), ("a", "two"), ("b", "one")] {
        until("that it serves", || infer(tenant, model, true, &format!("say {tenant}-{model}")).status == 200);
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
    // The other tenant's session of that name does not wait for this one's task.
    infer("b", "one", false, "").ok();
    let path = "/v2/models/one/sessions/s";
    assert_eq!(server.call("DELETE", path).header("x-api-key", "b").send().status, 200);
    assert_eq!(get("a", sessions)["sessions"].as_array().unwrap().len(), 1);
}

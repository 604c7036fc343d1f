//! Routes belong to a tenant, which is found by the key of a request.

use crate::harness::{Server, scripted};
use crate::tenants::key;

const KEYS: &str = "[tenants.default]\n[tenants.a]\nrepository = 'a'\nkeys = [KEY_A, KEY_M]\n\
    quota = { requests_per_second = 'unlimited', concurrency = 4 }\n\
    [tenants.b]\nrepository = 'b'\nkeys = [KEY_B]\n\
    [tenants.c]\nrepository = 'c'\nkeys = [KEY_C]\n";

fn server() -> Server {
    let keys = KEYS
        .replace("KEY_A", &key("a-infer", &["infer"]))
        .replace("KEY_M", &key("a-manage", &["manage"]))
        .replace("KEY_B", &key("b-infer", &["infer"]))
        .replace("KEY_C", &key("c-manage", &["manage"]));
    let setup = Server::with_models(|_| {})
        .config(&format!("keys = [{}]\n{keys}", key("host", &["admin"])));
    for (tenant, version, path) in [("a", 1, "/shared/{text}"), ("b", 2, "/shared/{text}")] {
        let models = setup.repository(tenant);
        let routes = format!(
            "[[routes]]\npath = '{path}'\noutputs = 'version'\n\
                              [[routes]]\npath = '/only-{tenant}'\noutputs = 'version'"
        );
        models.settings("scripted", &routes);
        models.version("scripted", 1, scripted(&format!("version={version}")));
    }
    let server = setup.start();
    server.until_tried();
    server
}

#[test]
fn a_route_belongs_to_its_tenant() {
    let server = server();
    let version = |key: &str, path: &str| server.holder(key).get(path).ok().json();
    // Both tenants have the path.
    assert_eq!(version("a-infer", "/shared/x"), 1);
    assert_eq!(version("b-infer", "/shared/x"), 2);
    server.holder("a-infer").get("/only-a").ok();
    server.holder("a-infer").get("/only-b").refused(404, "not_found");
    server.holder("a-infer").call("PUT", "/only-b").send().refused(404, "not_found");
    assert_eq!(server.holder("host").naming("b").get("/only-b").ok().json(), 2);
}

#[test]
fn a_route_needs_a_key_with_the_scope_of_inference() {
    let server = server();
    for path in ["/shared/x", "/only-a", "/nowhere"] {
        server.get(path).refused(401, "unauthenticated");
        server.holder("wrong").get(path).refused(401, "unknown_key");
        server.holder("a-manage").get(path).refused(403, "forbidden");
        // The answer is the same if other tenants have routes.
        server.holder("c-manage").get(path).refused(404, "not_found");
        server.holder("host").get(path).refused(400, "invalid_input");
        server.call("OPTIONS", path).send().refused(401, "unauthenticated");
    }
    server.holder("a-infer").get("/nowhere").refused(404, "not_found");
    // The server's own paths are no routes for anybody.
    server.get("/v2/nowhere").refused(404, "not_found");
    server.get("/metrics/nowhere").refused(404, "not_found");
}

#[test]
fn foreign_pages_and_hosts_are_refused() {
    let server = super::server(super::VERSION);
    server.get("/version-of/a").ok();
    server.call("GET", "/version-of/a").host("evil.example").send().refused(403, "forbidden_host");
    let foreign = server.call("GET", "/version-of/a").header("origin", "https://evil.example");
    assert_eq!(foreign.send().status, 403);
}

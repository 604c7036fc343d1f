//! Another tenant's models: for a caller they are indistinguishable from unused names.

use wardian::api::{Route, routes};

use super::{add_scripted, setup, tenant, until_known, write};
use crate::harness::{Response, Server};

const THEIRS: &str = "theirs";
const UNUSED: &str = "absent";

#[test]
fn other_tenants_models_look_nonexistent() {
    let setup = setup("");
    let folder = setup.repository("tenants");
    write(&folder, "a", &tenant("a", "a-both", ""));
    write(&folder, "b", &tenant("b", "b-both", ""));
    add_scripted(&setup.repository("a"), THEIRS, 1);
    setup.repository("b");
    let server = setup.start();
    server.until_tried();
    until_known(&server.holder("b-both"));
    server.holder("a-both").behave(THEIRS, "ok").ok();
    for route in routes().iter().filter(|route| route.path.contains("{model}")) {
        for version in ["1", "2", "0", "x"] {
            let [one, other] =
                [THEIRS, UNUSED].map(|model| seen(&ask(&server, route, model, version), model));
            assert_eq!(one, other, "{route:?} with version {version}");
            assert!(one.0 >= 400, "{route:?}: {one:?}");
        }
    }
    let invoke = |model| {
        let call = server.holder("b-both").call("POST", "/invocations");
        seen(
            &call.header("x-amzn-sagemaker-target-model", model).body("{\"inputs\": []}").send(),
            model,
        )
    };
    assert_eq!(invoke(THEIRS), invoke(UNUSED));
    assert_eq!(invoke(THEIRS).0, 404);
    server.holder("a-both").behave(THEIRS, "ok").ok();
}

fn ask(server: &Server, route: &Route, model: &str, version: &str) -> Response {
    let path = route
        .path
        .replace("{model}", model)
        .replace("{version}", version)
        .replace("{repository}", "main");
    server.holder("b-both").call(route.method, &path).body("{\"inputs\": []}").send()
}

/// Returns everything visible in a response, without the requested name and without values that
/// differ between any two responses.
fn seen(response: &Response, model: &str) -> (u16, Vec<(String, String)>, String) {
    let mut headers = response.headers.clone();
    headers.retain(|(name, _)| !["x-request-id", "server-timing", "date"].contains(&name.as_str()));
    (response.status, headers, response.text().replace(model, "NAME"))
}

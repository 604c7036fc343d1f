//! The path of a request through all interceptors, and of its response back.

use serde_json::{Value, json};

use super::{ask, parameter, trail, with_interceptors};
use crate::harness::until;

#[test]
fn the_chain_is_ordered_by_name() {
    let server = with_interceptors(&["c", "a", "b"]);
    assert_eq!(trail(&ask(&server, &json!({}))), "a b c c b a");
    // A call leaves nothing behind for the next one.
    assert_eq!(trail(&ask(&server, &json!({}))), "a b c c b a");
    let timing = ask(&server, &json!({})).header("server-timing").unwrap().to_owned();
    assert!(timing.contains("interceptors;dur="), "{timing}");
    let bare =
        with_interceptors(&[]).behave("scripted", "ok").header("server-timing").unwrap().to_owned();
    assert!(!bare.contains("interceptors"), "{bare}");
}

#[test]
fn a_request_and_an_answer_can_be_changed() {
    let server = with_interceptors(&["a", "b"]);
    assert_eq!(ask(&server, &json!({ "before": "add-x" })).output("sum"), [json!(42.0)]);
    assert_eq!(ask(&server, &json!({ "after": "negate" })).number("version"), -1);
    // The response has the requested outputs, whatever an interceptor changes.
    let body = json!({ "inputs": [], "outputs": [{ "name": "version" }], "parameters": { "after": "negate" } });
    let answer = server.infer("scripted", &body).ok().json();
    let names: Vec<_> =
        answer["outputs"].as_array().unwrap().iter().map(|output| output["name"].clone()).collect();
    assert_eq!(names, ["version"]);
}

#[test]
fn every_inference_route_uses_the_chain() {
    let server = with_interceptors(&["a"]);
    let body = json!({ "inputs": [] });
    for path in
        ["/v2/models/scripted/infer", "/v2/models/scripted/versions/1/infer", "/invocations"]
    {
        assert_eq!(trail(&server.post(path, &body)), "a a", "{path}");
    }
}

#[test]
fn interceptors_see_the_call_context() {
    let server = with_interceptors(&["a"]);
    let call = server.call("POST", "/v2/models/scripted/infer").header("x-request-id", "the-id");
    let answer = call.json(&json!({ "inputs": [] })).send();
    // Without keys, the key id is empty.
    assert_eq!(parameter(&answer, "context"), "default scripted 1 the-id ");
}

#[test]
fn call_values_are_limited() {
    let server = with_interceptors(&["a"]);
    ask(&server, &json!({ "before": "values" })).ok();
    // The trail and the version are two of the 64 parameters.
    server.until_logged("62 values fit");
}

#[test]
fn values_count_against_the_tenants_memory() {
    const PAGE: u64 = 64 << 10;
    let server = with_interceptors(&["a"]);
    let tenant = server.tenant("default");
    let body = json!({
        "inputs": [],
        "parameters": { "before": "values", "behave": "sleep:600000" },
    });
    let pending = server.call("POST", "/v2/models/scripted/infer").json(&body).begin();

    // The memory of guests consists of pages, so the remainder is what the host holds: 62 values
    // of more than 100 bytes with their names.
    until("the values to be counted", || tenant.holds("memory") % PAGE >= 62 * 100);

    pending.hang_up();
    tenant.until_holds("memory", 0);
}

#[test]
fn interceptors_have_metrics_of_their_own() {
    let server = with_interceptors(&["a"]);
    ask(&server, &json!({})).ok();
    ask(&server, &json!({ "before": "reject:403" }));
    let count = |metric: &str, model: &str| {
        let text: Value = server.get("/metrics").text().into();
        let named = format!("model=\"{model}\"");
        let of = |line: &&str| line.starts_with(metric) && line.contains(&named);
        let lines =
            text.as_str().unwrap().lines().filter(of).map(str::to_owned).collect::<Vec<_>>();
        lines.iter().filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok()).sum::<u64>()
    };
    assert_eq!(count("wardian_requests_total", "interceptors/a"), 2, "one before and one after");
    assert_eq!(count("wardian_request_failures_total", "interceptors/a"), 1);
    assert_eq!(
        (
            count("wardian_requests_total", "scripted"),
            count("wardian_request_failures_total", "scripted")
        ),
        (1, 1)
    );
}

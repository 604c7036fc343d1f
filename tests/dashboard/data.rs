//! The routes of the dashboard: what they answer to whom, and what they hold.

use serde_json::{Value, json};

use super::two_tenants;
use crate::harness::{Call, Events, Response, Server, Tenant, scripted, until};
use crate::tenants::{HOST, key};

/// Opens a stream, and waits for its head.
fn open(client: &Tenant<'_>) -> Events {
    ask_for_stream(client).begin().events()
}

/// Asks for a stream that is refused.
fn refused_stream(client: &Tenant<'_>) -> Response {
    ask_for_stream(client).send()
}

fn ask_for_stream(client: &Tenant<'_>) -> Call {
    client.call("GET", "/v2/dashboard").header("accept", "text/event-stream")
}

fn model<'s>(state: &'s Value, name: &str) -> &'s Value {
    let mut models = state["models"].as_array().unwrap().iter();
    models.find(|model| model["name"] == name).unwrap_or(&Value::Null)
}

fn server() -> Server {
    let setup = two_tenants("");
    setup.models().version("steady", 1, scripted("version=1"));
    let server = setup.start();
    server.until_tried();
    server
}

#[test]
fn a_browser_is_led_to_the_page() {
    let server = Server::empty();
    let root = server.call("GET", "/").header("accept", "text/html,*/*;q=0.8").send();
    assert_eq!(root.ok().body, server.get("/dashboard").ok().body);
    for accept in ["*/*", "application/json"] {
        let alive = server.call("GET", "/").header("accept", accept).send();
        assert_eq!(alive.json(), json!({ "status": "alive" }));
    }

    for (path, media) in [
        ("/dashboard", "text/html; charset=utf-8"),
        ("/dashboard/app.js", "text/javascript; charset=utf-8"),
        ("/dashboard/style.css", "text/css; charset=utf-8"),
    ] {
        let response = server.get(path);
        assert_eq!(response.ok().header("content-type"), Some(media));
        assert_eq!(response.header("x-content-type-options"), Some("nosniff"));
        assert_eq!(response.header("referrer-policy"), Some("no-referrer"));
        let policy = response.header("content-security-policy").unwrap();
        for part in ["default-src 'none'", "script-src 'self'", "frame-ancestors 'none'"] {
            assert!(policy.contains(part), "{policy}");
        }
        assert!(!policy.contains("unsafe"), "{policy}");
        assert_eq!(response.header("set-cookie"), None);
    }
    server.get("/dashboard/nothing.js").refused(404, "not_found");
    server.get("/dashboard/..%2fmod.rs").refused(404, "not_found");
}

#[test]
fn it_can_be_turned_off() {
    let server = Server::with_models(|_| {}).config("[dashboard]\nenabled = false").start();
    let page = server.call("GET", "/").header("accept", "text/html").send();
    assert!(page.ok().text().contains("openapi.json"), "the page of the API");
    for path in ["/dashboard", "/dashboard/app.js", "/v2/dashboard"] {
        server.get(path).refused(404, "not_found");
    }
}

#[test]
fn a_key_sees_its_own_tenant_only() {
    let server = server();
    let state = server.holder("ask").get("/v2/dashboard").ok().json();
    assert_eq!(state["scopes"], json!(["infer"]));
    assert_eq!(state["usage"]["tenant"], "default");
    assert_eq!(model(&state, "steady")["versions"][0]["state"], "READY");
    assert_eq!(model(&state, "secret"), &Value::Null);

    let other = server.holder("other").get("/v2/dashboard").ok().json();
    assert_eq!(model(&other, "secret")["versions"][0]["state"], "READY");
    assert_eq!(model(&other, "steady"), &Value::Null);

    server.get("/v2/dashboard").refused(401, "unauthenticated");
    server.holder(HOST).get("/v2/dashboard").refused(400, "invalid_input");
    server.holder(HOST).naming("other").get("/v2/dashboard").ok();
    server.holder("ask").get("/v2/models/secret/history").refused(404, "model_not_found");
}

#[test]
fn the_history_counts_requests_across_a_swap() {
    let server = server();
    let client = server.holder("all");
    for _ in 0..5 {
        client.behave("steady", "ok").ok();
    }
    client.behave("steady", "reject").refused(422, "model_rejected_input");

    server.models().version("steady", 2, scripted("version=2"));
    until("the second version serves", || client.behave("steady", "ok").number("version") == 2);

    let history = client.get("/v2/models/steady/history?width=320").ok().json();
    let minutes = history["minutes"].as_array().unwrap();
    let sum = |key: &str| minutes.iter().map(|minute| minute[key].as_u64().unwrap()).sum::<u64>();
    assert!(sum("answered") >= 6 && sum("failed") >= 1, "{history}");
    let latency = &minutes.last().unwrap()["latency"];
    let [p50, p95, p99] =
        ["p50_us", "p95_us", "p99_us"].map(|percentile| latency[percentile].as_f64().unwrap());
    assert!(0.0 < p50 && p50 <= p95 && p95 <= p99, "{latency}");

    let published: Vec<_> = history["published"].as_array().unwrap().iter().collect();
    assert_eq!([&published[0]["version"], &published[1]["version"]], ["2", "1"]);
    for plot in ["latency", "requests"] {
        let svg = history["plots"][plot].as_str().unwrap();
        assert!(svg.starts_with("<svg width=\"320\""), "{svg}");
    }
    client.get("/v2/models/steady/history?width=wide").refused(400, "invalid_input");
}

#[test]
fn a_stream_tells_of_a_swap_as_it_happens() {
    let server = server();
    let mut events = open(&server.holder("ask"));
    let first = events.next_event().unwrap();
    assert_eq!(model(&first, "steady")["versions"].as_array().unwrap().len(), 1);

    server.models().version("steady", 2, scripted("version=2"));
    let is_second = |version: &Value| version["version"] == "2" && version["state"] == "READY";
    while let Some(state) = events.next_event() {
        if model(&state, "steady")["versions"].as_array().unwrap().iter().any(is_second) {
            break;
        }
    }

    // The stream ends with the server, which does not wait for its lifetime.
    server.terminate();
    while events.next_event().is_some() {}
    assert!(server.until_ended().success());
}

#[test]
fn streams_of_a_key_are_bounded() {
    let server = server();
    let client = server.holder("ask");
    let mut held: Vec<_> = (0..8).map(|_| open(&client)).collect();
    for events in &mut held {
        assert!(events.next_event().is_some());
    }
    let refused = refused_stream(&client);
    refused.refused(429, "quota_exceeded");
    assert_eq!(refused.json()["quota"], "dashboard_streams");

    // Without a stream it is answered, and so are another key and a model.
    client.get("/v2/dashboard").ok();
    assert!(open(&server.holder("all")).next_event().is_some());
    client.behave("steady", "ok").ok();

    drop(held.pop());
    until("a closed stream is given back", || ask_for_stream(&client).begin().status() == 200);
}

#[test]
fn an_open_page_takes_no_place_of_a_request() {
    let setup = two_tenants("").config("[tenants.default.quota]\nconcurrency = 1\n");
    setup.models().version("steady", 1, scripted("version=1"));
    let server = setup.start();
    server.until_tried();
    let client = server.holder("ask");
    let mut events = open(&client);
    assert!(events.next_event().is_some());
    client.behave("steady", "ok").ok();
}

#[test]
fn a_removed_key_ends_its_stream() {
    let setup = two_tenants("poll_interval = '20ms'\nsettle = '20ms'\n");
    let folder = setup.repository("tenants");
    let tenant = |text| format!("repository = 'third'\nkeys = [{}]\n", key(text, &["infer"]));
    folder.put("third.toml", tenant("before"));
    setup.repository("third");
    let server = setup.start();
    server.until_tried();

    let mut events = open(&server.holder("before"));
    assert!(events.next_event().is_some());
    folder.put("third.toml", tenant("after"));
    until("the key is known no more", || server.holder("before").get("/v2/usage").status == 401);
    while events.next_event().is_some() {}
}

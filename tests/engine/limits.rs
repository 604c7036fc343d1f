//! Limits of time and memory: a guest gets what it was granted, at no cost to others.

use serde_json::json;

use crate::engine::{add, scripted_with};
use crate::harness::{Response, Server};

#[test]
fn the_cpu_limit_stops_an_endless_loop() {
    let server = scripted_with("[limits]\ncpu_time = '1s'\ndeadline = '10m'");
    let refused = server.behave("scripted", "spin");
    refused.refused(504, "cpu_time_exceeded");
    assert!(refused.text().contains("1000 ms"), "{refused}");
    // Sleeping uses no CPU time.
    server.behave("scripted", "sleep:1500").ok();
}

#[test]
fn the_deadline_stops_a_slow_guest() {
    let server = scripted_with("[limits]\ncpu_time = '10m'\ndeadline = '2s'");
    for word in ["spin", "sleep:600000"] {
        let refused = server.behave("scripted", word);
        refused.refused(504, "deadline_exceeded");
        assert!(refused.text().contains("2000 ms"), "{refused}");
    }
}

#[test]
fn a_caller_can_only_shorten_the_deadline() {
    let server = scripted_with("[limits]\ncpu_time = '10m'\ndeadline = '3s'");
    let within = |milliseconds: &str| -> Response {
        let call = server
            .call("POST", "/v2/models/scripted/infer")
            .header("wardian-deadline-ms", milliseconds);
        call.json(&json!({ "inputs": [], "parameters": { "behave": "sleep:600000" } })).send()
    };
    for (asked, said) in [("150", "150 ms"), ("600000", "3000 ms")] {
        let refused = within(asked);
        refused.refused(504, "deadline_exceeded");
        assert!(refused.text().contains(said), "{refused}");
    }
    within("soon").refused(400, "invalid_input");
}

#[test]
fn endless_loops_do_not_delay_other_requests() {
    let server = Server::with_models(|models| {
        add(models, "spinner", "[limits]\ncpu_time = '10m'\ndeadline = '10m'");
        add(models, "neighbour", "[limits]\ndeadline = '30s'");
    })
    .start();
    server.until_tried();
    let spinning: Vec<_> = (0..6).map(|_| server.begin_behave("spinner", "spin")).collect();
    server.until_busy("spinner", 6);
    for _ in 0..20 {
        assert_eq!(server.version_of("neighbour"), 1);
        server.get("/v2/health/ready").ok();
    }
    server.until_busy("spinner", 6);
    spinning.into_iter().for_each(|pending| pending.hang_up());
    server.until_busy("spinner", 0);
}

#[test]
fn memory_is_limited_for_each_instance_by_itself() {
    let server = scripted_with("[limits]\nmemory = '64MiB'");
    server.behave("scripted", "touch:40").ok();
    let refused = server.behave("scripted", "touch:80");
    refused.refused(500, "model_out_of_memory");
    assert!(refused.text().contains("67108864 bytes"), "{refused}");
    server.behave("scripted", "touch:40").ok();
}

#[test]
fn a_body_beyond_the_limit_is_refused() {
    let server = scripted_with("[limits]\nrequest = '1kB'");
    let body = json!({ "inputs": [], "parameters": { "padding": "x".repeat(2000) } });
    server.infer("scripted", &body).refused(413, "request_too_large");
    assert_eq!(server.version_of("scripted"), 1);
}

//! Interceptors around streams.

use std::collections::HashMap;
use std::time::Instant;

use serde_json::{Value, json};

use super::streamer;
use crate::harness::{Models, Server, scripted_interceptor};

fn wrapped(models: &Models) {
    streamer(models, "streamer", "");
    models.put(
        "interceptors/scripted-interceptor.wasm",
        scripted_interceptor("name=scripted-interceptor"),
    );
}

fn started() -> Server {
    let server = Server::with_models(wrapped).start();
    server.until_ready("streamer", 1);
    server
}

#[test]
fn each_part_passes_the_chain() {
    let server = started();
    let events = server.stream("streamer", &json!({ "parts": 30 })).all();
    assert!(
        events
            .iter()
            .map(|event| &event["index"])
            .eq(&(0..30).map(Value::from).collect::<Vec<_>>())
    );
    assert!(
        events.iter().all(|event| event["trail"]
            .as_str()
            .is_some_and(|trail| trail.contains("scripted-interceptor"))),
        "{events:?}"
    );
    let whole = server.generate("streamer", &json!({ "parts": 2 })).ok().json();
    assert_eq!((&whole["text_output"], &whole["index"]), (&json!("0 1 "), &json!([0, 1])));
}

#[test]
fn interceptor_time_is_reported_separately() {
    const SLEEP: f64 = 200.0;
    let server = started();
    let body = json!({ "parts": 1, "before": format!("sleep:{SLEEP}"), "after": format!("sleep:{SLEEP}") });
    let begun = Instant::now();
    let whole = server.generate("streamer", &body);
    let stream = server.stream("streamer", &body);
    let told = [whole.ok().header("server-timing"), stream.header("server-timing")];
    let both = begun.elapsed().as_secs_f64() * 1000.0;
    let told = told.map(|timing| durations(timing.unwrap_or_default()));
    for told in &told {
        assert!(told["interceptors"] >= 2.0 * SLEEP, "{told:?}");
    }
    // Time that is counted twice would exceed the total.
    let all: f64 = told.iter().flat_map(HashMap::values).sum();
    assert!(all <= both, "{all} ms of {both}: {told:?}");
}

/// Returns the milliseconds by name.
fn durations(timing: &str) -> HashMap<String, f64> {
    let part = |part: &str| {
        part.split_once(";dur=").map(|(name, time)| (name.to_owned(), time.parse().unwrap()))
    };
    timing.split(", ").filter_map(part).collect()
}

#[test]
fn a_rejection_comes_before_the_first_part() {
    let server = started();
    let refused = server.begin_stream("streamer", &json!({ "before": "reject" })).answer();
    assert!(refused.status >= 400, "{refused}");
    refused.refused(refused.status, "rejected_by_interceptor");
}

#[test]
fn an_interceptor_failing_on_a_part_ends_the_stream() {
    let server = started();
    let failing =
        server.begin_stream("streamer", &json!({ "after": "trap", "then": "sleep" })).answer();
    failing.refused(500, "interceptor_failed");
    server.until_busy("streamer", 0);
}

#[test]
fn changed_parts_count_against_the_total() {
    let server = Server::with_models(|models| {
        streamer(models, "streamer", "[streaming]\ntotal = '4MiB'");
        models.put(
            "interceptors/scripted-interceptor.wasm",
            scripted_interceptor("name=scripted-interceptor"),
        );
    })
    .start();
    server.until_ready("streamer", 1);
    let grown = |parts: u64| json!({ "parts": parts, "after": format!("grow:{}", 1 << 18) });
    server.generate("streamer", &grown(100)).refused(500, "response_too_large");
    let (events, code) = server.stream("streamer", &grown(100)).all_until_error();
    assert_eq!((events.len(), code.as_str()), (15, "response_too_large"));
    server.until_busy("streamer", 0);
    assert_eq!(server.stream("streamer", &grown(15)).all().len(), 15);
}

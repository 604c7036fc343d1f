//! Resources that a stream holds of its tenant, and fairness to others.

use std::time::{Duration, Instant};

use serde_json::json;

use super::{LARGE, endless, streamer};
use crate::harness::{Server, Setup, scripted, until};

/// A server, not yet started, with two tenants, who differ by the header alone.
fn two_tenants(settings: &str, of_a: &str) -> Setup {
    let config = format!(
        "[tenants.a]\nrepository = 'a'\n{of_a}\n[tenants.b]\nrepository = 'b'\n[tenants.default]"
    );
    let setup = Server::with_models(|_| {}).config(&config);
    streamer(&setup.repository("a"), "streamer", settings);
    setup.repository("b").bare("scripted", scripted("version=7"));
    setup
}

#[test]
fn a_stream_holds_its_quota_until_it_ends() {
    let server = two_tenants(LARGE, "[tenants.a.quota]\nconcurrency = 2\ninstances = 1\n").start();
    let a = server.tenant("a");
    a.until_ready("streamer", 1);
    let mut slow = a.stream("streamer", &endless());
    slow.next_text();
    assert_eq!((a.holds("instances"), a.call("GET", "/v2/usage").send().status), (1, 200));
    // The second holds concurrency but no instance, and a third is refused.
    let waiting = a.begin_stream("streamer", &json!({}));
    a.until_holds("queue", 1);
    a.begin_stream("streamer", &json!({})).answer().refused(429, "quota_exceeded");
    drop(slow);
    assert_eq!(waiting.events().all().len(), 3);
    a.until_holds("instances", 0);
}

#[test]
fn unread_parts_count_against_the_tenants_memory() {
    const PAGE: u64 = 64 << 10;
    const PART: u64 = 8 << 20;
    let settings = format!("{LARGE}[limits]\nmemory = '256MiB'\n");
    let server = two_tenants(&settings, "").start();
    let a = server.tenant("a");
    a.until_ready("streamer", 1);

    // After a part that was read, only the guest's memory is left, which consists of pages.
    let body = json!({ "parts": 2, "size": PART, "between_ms": 600_000 });
    let mut read = a.stream("streamer", &body);
    read.next_text();
    until("the part to be released", || a.holds("memory").is_multiple_of(PAGE));
    let guest = a.holds("memory");
    drop(read);
    a.until_holds("memory", 0);

    // Of unread parts, one is on its way to the client, one is in the buffer and one waits for room
    // in it.
    let unread = a.stream("streamer", &json!({ "parts": i64::MAX, "size": PART }));
    until("the parts to be counted", || a.holds("memory") > guest + 2 * PART + PART / 2);
    drop(unread);
    a.until_holds("memory", 0);
}

#[test]
fn tenant_limits_bound_a_models_streams() {
    let limits = "[tenants.a.limits]\ndeadline = '1s'\ncpu_time = '100ms'\nresponse = '1MiB'\n";
    let server = two_tenants("", limits).start();
    let a = server.tenant("a");
    a.until_ready("streamer", 1);
    let streaming = a.get("/v2/models/streamer/config").ok().json()["wardian"]["streaming"].clone();
    assert_eq!(
        (&streaming["deadline_ms"], &streaming["cpu_time_ms"], &streaming["total_bytes"]),
        (&json!(1000), &json!(100), &json!(1 << 20))
    );
    assert_eq!(
        a.stream("streamer", &json!({ "then": "spin" })).all_until_error().1,
        "cpu_time_exceeded"
    );
    streamer(&server.repository("a"), "greedy", "[streaming]\ndeadline = '2s'");
    a.until_refused("greedy", 1, "streaming.deadline is 2s, and this tenant's models may have 1s");
}

#[test]
fn the_operator_may_allow_streams_more() {
    let limits = "[tenants.a.limits]\ndeadline = '1s'\n[tenants.a.streaming]\ndeadline = '1m'\n";
    let server = two_tenants("[streaming]\ndeadline = '30s'", limits).start();
    server.tenant("a").until_ready("streamer", 1);
    let config = server.tenant("a").get("/v2/models/streamer/config").ok().json();
    assert_eq!(config["wardian"]["streaming"]["deadline_ms"], 30_000);
}

#[test]
fn many_streams_leave_others_their_share() {
    let server = two_tenants(&format!("{LARGE}[instances]\nmax = 100"), "").start();
    let (a, b) = (server.tenant("a"), server.tenant("b"));
    a.until_ready("streamer", 1);
    b.until_ready("scripted", 1);
    let computing = json!({ "parts": i64::MAX, "between_ms": 5, "how": "busy" });
    let bodies = std::iter::repeat_n(endless(), 20).chain(std::iter::repeat_n(computing, 20));
    let mut streams: Vec<_> = bodies.map(|body| a.stream("streamer", &body)).collect();
    let mut worst = Duration::ZERO;
    for round in 0..100 {
        let start = Instant::now();
        assert_eq!(b.behave("scripted", "ok").number("version"), 7);
        worst = worst.max(start.elapsed());
        // Half of them are read, one part at a time.
        streams[round % 20 + 20].next_text();
    }
    println!("the latest answer came after {worst:?}");
    assert!(worst < Duration::from_secs(10), "{worst:?}");
    assert_eq!(a.holds("instances"), 40);
    drop(streams);
    a.until_holds("instances", 0);
    a.until_holds("memory", 0);
}

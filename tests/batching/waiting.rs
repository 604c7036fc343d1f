//! Requests that wait for a batch: how long, and how the wait ends.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::batching::{
    BOTH, JOINED, PATIENT, begin, body, counted, held_up, hold, line_up, line_up_all, said,
    serving, until_failed, until_none_waits, with_parameter, within,
};
use crate::harness::{Pending, Server, guest, until};

#[test]
fn a_disconnected_client_leaves_the_queue() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let [one, log, two] = line_up_all(&server, ["one", "log", "two"]);
    log.hang_up();
    server.tenant("default").until_holds("queue", 2);
    holder.hang_up();
    assert_eq!(said(&one.answer()), ("one".to_owned(), 2));
    assert_eq!(said(&two.answer()), ("two".to_owned(), 2));
    assert!(!server.log().contains("a word says to log"), "{}", server.log());
}

#[test]
fn a_disconnected_leader_does_not_end_the_batch() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let [one, two, three] = line_up_all(&server, ["one", "two", "three"]);
    one.hang_up();
    server.tenant("default").until_holds("queue", 2);
    two.hang_up();
    server.tenant("default").until_holds("queue", 1);
    holder.hang_up();
    assert_eq!(said(&three.answer()), ("three".to_owned(), 1));
    let holder = hold(&server);
    let all = line_up_all(&server, ["one", "two", "three"]);
    all.into_iter().for_each(Pending::hang_up);
    until_none_waits(&server);
    holder.hang_up();
    server.until_busy("model", 0);
    assert_eq!(said(&begin(&server, "four").answer()), ("four".to_owned(), 1));
}

#[test]
fn a_batch_ends_when_its_last_client_disconnects() {
    for guest in BOTH {
        let (server, holder) = held_up(guest, PATIENT);
        let [leader, slow, other] = line_up_all(&server, ["one", "sleep:1500", "two"]);
        holder.hang_up();
        until_none_waits(&server);
        leader.hang_up();
        other.hang_up();
        assert_eq!(said(&slow.answer()), ("sleep:1500".to_owned(), 3), "{guest}");
        let holder = hold(&server);
        let endless = line_up_all(&server, ["sleep:600000", "one", "slow:600000"]);
        holder.hang_up();
        until_none_waits(&server);
        server.until_busy("model", 1);
        endless.into_iter().for_each(Pending::hang_up);
        server.until_busy("model", 0);
    }
}

#[test]
fn a_deadline_in_the_queue_fails_one_request() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let one = line_up(&server, 0, &body("one"));
    let hasty = within(&server, "50", "hasty").answer();
    hasty.refused(504, "deadline_exceeded");
    assert!(hasty.text().contains("50 ms"), "{hasty}");
    // The leader of a batch may time out as well.
    holder.hang_up();
    assert_eq!(said(&one.answer()), ("one".to_owned(), 1));
    let holder = hold(&server);
    let hasty = within(&server, "5000", "hasty");
    server.tenant("default").until_holds("queue", 1);
    let two = line_up(&server, 1, &body("two"));
    hasty.answer().refused(504, "deadline_exceeded");
    holder.hang_up();
    assert_eq!(said(&two.answer()), ("two".to_owned(), 1));
}

#[test]
fn a_deadline_during_the_call_fails_one_request() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let hasty = within(&server, "10000", "hasty");
    server.tenant("default").until_holds("queue", 1);
    let patient = line_up(&server, 1, &body("sleep:600000"));
    holder.hang_up();
    hasty.answer().refused(504, "deadline_exceeded");
    // Calls: the holder, and these two in one call, which continues.
    assert_eq!(counted(&server), (3.0, 2.0, 0.0));
    server.until_busy("model", 1);
    patient.hang_up();
    server.until_busy("model", 0);
}

#[test]
fn the_queue_limit_is_enforced() {
    let (server, holder) = held_up(JOINED, &format!("{PATIENT}[batching]\nmax_queue = 2"));
    let [one, two] = line_up_all(&server, ["one", "two"]);
    let refused = begin(&server, "three").answer();
    refused.refused(429, "quota_exceeded");
    assert_eq!(refused.header("retry-after"), Some("1"));
    holder.hang_up();
    assert_eq!([said(&one.answer()).1, said(&two.answer()).1], [2, 2]);
}

/// Begins `count` requests that run one by one until they are released.
fn begin_endless(server: &Server, count: u64) -> Vec<Pending> {
    let begin = |busy| {
        let holder = begin(server, "sleep:600000");
        server.until_busy("model", busy);
        holder
    };
    (1..=count).map(begin).collect()
}

#[test]
fn a_queue_limit_of_zero_admits_immediate_calls() {
    let settings = format!("{PATIENT}[batching]\nmax_queue = 0\n[instances]\nmax = 4");
    let server = serving(JOINED, &settings);
    let holders = begin_endless(&server, 4);
    begin(&server, "one").answer().refused(429, "quota_exceeded");
    until_failed(&server, 1.0);
    holders.into_iter().for_each(Pending::hang_up);
    until("a free instance", || begin(&server, "one").answer().status == 200);
}

#[test]
fn sleeping_calls_do_not_block_other_batches() {
    let settings = format!("{PATIENT}[instances]\nmax = 64\n[batching]\nmax_batch_size = 2");
    let server = serving(JOINED, &settings);
    let count = 2 * std::thread::available_parallelism().unwrap().get() as u64 + 1;
    let holders = begin_endless(&server, count);
    assert_eq!(said(&begin(&server, "one").answer()).0, "one");
    holders.into_iter().for_each(Pending::hang_up);
}

#[test]
fn the_queue_quota_counts_waiting_requests() {
    let server = Server::with_models(|models| {
        models.settings("model", &format!("{PATIENT}[instances]\nmax = 1"));
        models.version("model", 1, guest(JOINED));
    })
    .config("[tenants.default.quota]\nqueue = 2")
    .start();
    server.until_ready("model", 1);
    let holder = hold(&server);
    let [one, two] = line_up_all(&server, ["one", "two"]);
    let refused = begin(&server, "three").answer();
    refused.refused(429, "quota_exceeded");
    assert!(refused.text().contains("queue"), "{refused}");
    holder.hang_up();
    assert_eq!([said(&one.answer()).1, said(&two.answer()).1], [2, 2]);
    until_none_waits(&server);
}

#[test]
fn the_queue_delay_is_kept_and_not_exceeded() {
    let server = serving(
        JOINED,
        &format!("{PATIENT}[batching]\nmax_queue_delay = '400ms'\nmax_batch_size = 3"),
    );
    let started = Instant::now();
    let alone = begin(&server, "alone").answer();
    assert_eq!(said(&alone), ("alone".to_owned(), 1));
    assert!(started.elapsed() >= Duration::from_millis(400), "{:?}", started.elapsed());
    let timing = alone.header("server-timing").unwrap();
    let queue: f64 = timing
        .split("queue;dur=")
        .nth(1)
        .unwrap()
        .split([',', ' '])
        .next()
        .unwrap()
        .parse()
        .unwrap();
    assert!((400.0..20_000.0).contains(&queue), "{timing}");
}

#[test]
fn a_full_batch_goes_at_once() {
    let server = serving(
        JOINED,
        &format!("{PATIENT}[batching]\nmax_queue_delay = '10s'\nmax_batch_size = 3"),
    );
    let started = Instant::now();
    let pending = ["one", "two", "three"].map(|word| begin(&server, word));
    for answer in pending.map(Pending::answer) {
        assert_eq!(answer.number("batch"), 3);
    }
    assert!(started.elapsed() < Duration::from_secs(10), "{:?}", started.elapsed());
    assert_eq!(counted(&server), (3.0, 1.0, 0.0));
    // Requests with different parameters form no batch, but none waits beyond the queue's limit.
    let others = [("a", 1), ("b", 2), ("c", 2)]
        .map(|(word, tone)| with_parameter(word, "tone", json!(tone)));
    let pending = others.map(|body| crate::batching::begin_with(&server, &body));
    for pending in pending {
        pending.answer().ok();
    }
}

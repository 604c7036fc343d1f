//! Items that fail in a batch, and their neighbours that succeed.

use crate::batching::{
    BOTH, JOINED, PATIENT, SIDE_BY_SIDE, begin, body, counted, held_up, held_up_with, hold,
    line_up_all, said, within,
};
use crate::harness::Response;

/// Queues these words between good ones, releases them, and returns the responses to these. Asserts
/// that the good ones succeed, in batches of `with` requests.
#[track_caller]
fn among_others<const N: usize>(
    guest: &str,
    settings: &str,
    bad: [&str; N],
    with: i64,
) -> [Response; N] {
    let (server, holder) = held_up(guest, settings);
    server.tenant("default").until_holds("queue", 0);
    let first = line_up_all(&server, ["one", "two"]);
    let mut behind = 2..;
    let between =
        bad.map(|word| crate::batching::line_up(&server, behind.next().unwrap(), &body(word)));
    let last = crate::batching::line_up(&server, behind.next().unwrap(), &body("three"));
    holder.hang_up();
    for (word, pending) in ["one", "two", "three"].into_iter().zip(first.into_iter().chain([last]))
    {
        assert_eq!(said(&pending.answer()), (word.to_owned(), with), "{guest} {bad:?}");
    }
    between.map(|pending| pending.answer())
}

#[test]
fn an_invalid_item_fails_alone() {
    for guest in BOTH {
        // In the side-by-side form an error belongs to one request, and no request is run twice.
        let with = if guest == JOINED { 1 } else { 5 };
        let [failed, refused] = among_others(guest, PATIENT, ["fail", "reject"], with);
        failed.refused(500, "model_failed");
        refused.refused(422, "model_rejected_input");
        assert!(refused.text().contains("this word is not to my taste"), "{refused}");
    }
}

#[test]
fn a_trap_fails_one_request() {
    for guest in BOTH {
        for isolation in ["request", "pooled"] {
            let settings = format!("isolation = '{isolation}'\n{PATIENT}");
            let [trapped, shy] = among_others(guest, &settings, ["trap", "shy"], 1);
            trapped.refused(500, "model_trapped");
            assert_eq!(said(&shy), ("shy".to_owned(), 1), "{guest} {isolation}");
        }
    }
}

#[test]
fn an_item_beyond_the_memory_quota_fails_alone() {
    for guest in BOTH {
        let (server, holder) =
            held_up_with(guest, PATIENT, "[tenants.default.quota]\nmemory = '64MiB'\n");
        let [one, eating, two] = line_up_all(&server, ["one", "eat:100", "two"]);
        holder.hang_up();
        assert_eq!(said(&one.answer()), ("one".to_owned(), 1), "{guest}");
        let refused = eating.answer();
        refused.refused(429, "quota_exceeded");
        assert_eq!(refused.json()["quota"], "memory", "{guest}");
        assert_eq!(said(&two.answer()), ("two".to_owned(), 1), "{guest}");
        assert_eq!(counted(&server).2, 1.0, "{guest}");
    }
}

#[test]
fn a_response_that_cannot_be_split_is_repeated_singly() {
    let [short] = among_others(JOINED, PATIENT, ["short"], 1);
    assert_eq!(said(&short), ("short".to_owned(), 1));
    let [few] = among_others(SIDE_BY_SIDE, PATIENT, ["few"], 1);
    assert_eq!(said(&few), ("few".to_owned(), 1));
}

#[test]
fn an_invalid_side_by_side_response_fails_one_request() {
    let [lie] = among_others(SIDE_BY_SIDE, PATIENT, ["lie"], 4);
    lie.refused(500, "model_bad_output");
}

#[test]
fn an_endless_item_leaves_time_for_the_others() {
    for guest in BOTH {
        let [spinning] =
            among_others(guest, "[limits]\ncpu_time = '1s'\ndeadline = '10m'", ["spin"], 1);
        spinning.refused(504, "cpu_time_exceeded");
        assert!(spinning.text().contains("1000 ms"), "{spinning}");
    }
}

#[test]
fn a_sleeping_item_leaves_others_half_their_time() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let one = within(&server, "20000", "one");
    server.tenant("default").until_holds("queue", 1);
    let sleeping = within(&server, "20000", "sleep:600000");
    server.tenant("default").until_holds("queue", 2);
    holder.hang_up();
    assert_eq!(said(&one.answer()), ("one".to_owned(), 1));
    sleeping.hang_up();
}

#[test]
fn each_batched_request_counts_once() {
    let (server, holder) = held_up(JOINED, &format!("{PATIENT}[breaker]\nfaults = 3"));
    let waiting = line_up_all(&server, ["trap", "one", "trap", "two"]);
    holder.hang_up();
    let outcomes = waiting.map(|pending| pending.answer().status);
    assert_eq!(outcomes, [500, 200, 500, 200]);
    // Calls: the holder, the batch, and each of its four items.
    assert_eq!(counted(&server), (9.0, 6.0, 1.0));
    assert_eq!(server.metric("wardian_requests_total{"), Some(2.0));
    assert_eq!(server.metric("wardian_request_failures_total{"), Some(2.0));
    assert_eq!(server.config_of("model")["wardian"]["suspended"], false);
    let holder = hold(&server);
    let waiting = line_up_all(&server, ["trap", "trap", "trap"]);
    holder.hang_up();
    for pending in waiting {
        pending.answer().refused(500, "model_trapped");
    }
    begin(&server, "one").answer().refused(503, "model_suspended");
}

#[test]
fn log_lines_of_a_batch_name_its_requests() {
    let (server, holder) = held_up(JOINED, PATIENT);
    let mut behind = 0..;
    let waiting = ["first-name", "second-name"].map(|name| {
        let call = server.call("POST", "/v2/models/model/infer").header("x-request-id", name);
        let pending = call.json(&body("log")).begin();
        server.tenant("default").until_holds("queue", behind.next().unwrap() + 1);
        pending
    });
    holder.hang_up();
    for pending in waiting {
        pending.answer().ok();
    }
    server.until_logged("a word says to log");
    let log = server.log();
    let line = log.lines().find(|line| line.contains("a word says to log")).unwrap();
    assert!(line.contains("first-name,second-name"), "{line}");
}

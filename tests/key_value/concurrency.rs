//! Concurrent operations: no change is lost, and none is seen in part.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;

use super::{ask, ask_one, server};

const CLIENTS: usize = 32;
const EACH: usize = 10;

#[test]
fn concurrent_counts_and_swaps_lose_nothing() {
    let server = server();
    thread::scope(|scope| {
        for _ in 0..CLIENTS {
            scope.spawn(|| {
                for _ in 0..EACH {
                    let said = ask(&server, &["increment b counted 1", "add b swapped 1"]);
                    assert!(said.iter().all(|said| said.parse::<usize>().is_ok()), "{said:?}");
                }
            });
        }
    });
    let all = (CLIENTS * EACH).to_string();
    assert_eq!(ask(&server, &["get b counted", "get b swapped"]), [all.clone(), all]);
}

#[test]
fn a_multi_key_write_is_atomic() {
    let server = server();
    let over = AtomicBool::new(false);
    ask_one(&server, "set-many b p 500 1");
    thread::scope(|scope| {
        let writing = scope.spawn(|| {
            for round in 0..20 {
                let operation = format!("set-many b p 500 {}", "x".repeat(1 + round % 3));
                assert_eq!(
                    ask(&server, &[&operation, "delete-many b p 500", &operation]),
                    ["ok", "ok", "ok"]
                );
            }
            over.store(true, Ordering::Relaxed);
        });
        while !over.load(Ordering::Relaxed) && !writing.is_finished() {
            let said = ask_one(&server, "get-many b p 500");
            assert!(["0 0", "500 500", "500 1000", "500 1500"].contains(&said.as_str()), "{said}");
        }
    });
}

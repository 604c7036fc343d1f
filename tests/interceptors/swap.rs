//! Repeated swaps of an interceptor while its model is under load.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use serde_json::json;

use super::{add_interceptor, ask, indexed, parameter, with_interceptors};
use crate::harness::{Server, until};

const CONNECTIONS: usize = 16;
const SWAPS: u64 = 20;

#[test]
fn an_interceptor_is_swapped_under_load() {
    let server = Arc::new(with_interceptors(&["a", "b"]));
    let (cease, seen) = (Arc::new(AtomicBool::new(false)), Arc::new(AtomicU64::new(0)));
    let workers: Vec<_> = (0..CONNECTIONS)
        .map(|_| {
            let (server, cease, seen) = (server.clone(), cease.clone(), seen.clone());
            std::thread::spawn(move || ask_on(&server, &cease, &seen))
        })
        .collect();
    for version in 2..=SWAPS {
        add_interceptor(server.models(), "a", &format!("version={version}"));
        server.until_ready(&indexed("a"), version);
        until(&format!("an answer through version {version}"), || {
            assert!(!workers.iter().any(|worker| worker.is_finished()), "a connection has failed");
            seen.load(Ordering::Relaxed) >= version
        });
    }
    cease.store(true, Ordering::Relaxed);
    let answers: usize =
        workers.into_iter().map(|worker| worker.join().expect("every answer is right")).sum();
    assert!(answers > SWAPS as usize, "only {answers} answers");
    assert_eq!(server.metric("wardian_request_failures_total"), Some(0.0));
}

fn ask_on(server: &Server, cease: &AtomicBool, seen: &AtomicU64) -> usize {
    let mut answers = 0;
    while !cease.load(Ordering::Relaxed) {
        let answer = ask(server, &json!({}));
        let (before, after) = (parameter(&answer, "a_before"), parameter(&answer, "a_after"));
        assert_eq!(before, after, "one version saw the beginning and another one the end");
        assert_eq!(parameter(&answer, "trail"), "a b b a");
        seen.fetch_max(after.parse().unwrap(), Ordering::Relaxed);
        answers += 1;
    }
    answers
}
